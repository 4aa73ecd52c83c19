"""What agrees with itself is refuted by the checkpoints, or by what reconciliations recorded."""

from typing import Any, Final

import pytest

from services.loyalty.operations.audit import prove_member
from tests.integration.loyalty.ledger_world import (
    audited,
    checkpoint,
    member_ids,
    reconcile,
    tamper,
    write_history,
)
from tests.integration.loyalty.tampering import cut_tail, rewrite
from tests.support.service import ServiceUnderTest, Starter

WHO: Final = member_ids(3)[1]
#: After the fifth entry of a life the only open lot is available, so what is left is in order.
WHOLE: Final = 5


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    """Three members, a checkpoint, then some more entries and another."""
    service = await start("loyalty")
    for _ in range(2):
        await write_history(service, members=3, entries=12)
        assert await checkpoint(service) == 1
    return service


async def member_proof(loyalty: ServiceUnderTest) -> dict[str, Any]:
    """What one member's proof says."""
    reply = await loyalty.call(
        "show_member_proof", member_id=WHO, headers={"Accept-Language": "en"}
    )
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def test_a_members_proof_tells_of_a_chain_rewritten_to_its_end(
    loyalty: ServiceUnderTest,
) -> None:
    assert (await member_proof(loyalty))["finding"] is None
    await rewrite(loyalty, WHO, actor="somebody else")
    proof = await member_proof(loyalty)
    assert proof["holds"] is False
    assert proof["finding"].endswith("rewritten, it is not what checkpoint 1 saw")
    assert await as_audited(loyalty) == "chain_rewritten"


async def test_a_members_proof_tells_of_a_tail_cut_off_with_account_and_lots(
    loyalty: ServiceUnderTest,
) -> None:
    await cut_tail(loyalty, WHO, after=WHOLE)
    proof = await member_proof(loyalty)
    assert (proof["seq"], proof["holds"]) == (WHOLE, False)
    assert proof["finding"].startswith(f"member {WHO}, entry {WHOLE + 1}: cut off")
    assert await as_audited(loyalty) == "tail_missing"


async def test_what_was_written_after_the_last_checkpoint_is_no_finding(
    loyalty: ServiceUnderTest,
) -> None:
    await write_history(loyalty, members=3, entries=6)
    assert (await member_proof(loyalty))["holds"] is True


@pytest.mark.parametrize(
    ("tables", "code"),
    [
        (["lot_allocations", "point_entries", "point_lots", "accounts"], "member_gone"),
        (["accounts"], "account_missing"),
    ],
)
async def test_a_member_of_whom_only_the_checkpoints_know_is_not_just_unknown(
    loyalty: ServiceUnderTest, tables: list[str], code: str
) -> None:
    await tamper(loyalty, *(f"delete from {one} where member_id = '{WHO}'" for one in tables))
    proof = await member_proof(loyalty)
    assert (proof["seq"], proof["hash"], proof["holds"]) == (0, None, False)
    assert await as_audited(loyalty) == code


async def test_a_reconciliation_misses_the_newest_checkpoint_removed_with_the_tail(
    loyalty: ServiceUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await reconcile(loyalty))["holds"] is True
    await cut_after_checkpoint(loyalty, 1)
    assert (await audited(loyalty)).faults == 0, "what is left agrees with itself"
    proof = await reconcile(loyalty)
    assert proof["first_disagreements"] == [
        {"member_id": None, "identities": ["checkpoints_are_kept"]}
    ]
    assert proof["disagreements"] == 1
    (line,) = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert "it was removed, perhaps with the entries it covered" in line


async def test_a_reconciliation_misses_all_checkpoints_and_the_figure_falls_to_none(
    loyalty: ServiceUnderTest,
) -> None:
    assert (await reconcile(loyalty))["holds"] is True
    assert "huitou_ledger_checkpoint_number 2.0" in await figures(loyalty)
    await tamper(loyalty, "delete from ledger_checkpoints", "delete from ledger_checkpoint_heads")
    proof = await reconcile(loyalty)
    assert proof["first_disagreements"][0]["identities"] == ["checkpoints_are_kept"]
    assert "huitou_ledger_checkpoint_number 0.0" in await figures(loyalty)


async def figures(loyalty: ServiceUnderTest) -> list[str]:
    """The lines of all figures."""
    return (await loyalty.call("show_loyalty_metrics")).text.splitlines()


async def cut_after_checkpoint(loyalty: ServiceUnderTest, number: int) -> None:
    """Remove everything since a checkpoint, and the later checkpoints themselves."""
    await tamper(
        loyalty,
        f"delete from ledger_checkpoints where number > {number}",
        f"delete from ledger_checkpoint_heads where checkpoint > {number}",
    )
    for head in await loyalty.rows("select member_id, seq from ledger_checkpoint_heads"):
        await cut_tail(loyalty, head.member_id, after=head.seq)


async def as_audited(loyalty: ServiceUnderTest) -> str:
    """The code of the one finding, which the proof on demand and the audit give alike."""
    (found,) = (await audited(loyalty)).findings
    proof = await loyalty.database.run(
        lambda transaction: prove_member(transaction, member_id=WHO), actor="test"
    )
    assert proof.finding == found
    return found.code
