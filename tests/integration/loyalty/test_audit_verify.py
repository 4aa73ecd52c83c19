"""Whoever changes, removes or moves anything in the ledger is found, and told where."""

from typing import Any

import pytest

from services.loyalty.domain.audit import Audit, Expected
from tests.integration.loyalty.ledger_world import (
    audited,
    checkpoint,
    member_ids,
    tamper,
    without_checks,
    write_history,
)
from tests.integration.loyalty.tampering import rewrite
from tests.support.service import ServiceUnderTest, Starter

WHO = member_ids(4)[1]
OTHER_LOT = (
    "update lot_allocations set lot_id = (select min(id) from point_lots lots"
    " where lots.member_id = lot_allocations.member_id and lots.id <> lot_id)"
)
AT = f"member_id = '{WHO}' and seq = 7"


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    """Four members with a dozen entries each and a checkpoint, then some more and another."""
    service = await start("loyalty")
    await write_history(service, members=4, entries=12)
    assert await checkpoint(service) == 1
    await write_history(service, members=3, entries=6)
    assert await checkpoint(service) == 1
    clean = await audited(service)
    assert (clean.faults, clean.members, clean.checkpoints) == (0, 4, 2)
    return service


def only(audit: Audit) -> tuple[str, dict[str, Any]]:
    """The one thing that was found."""
    assert audit.faults == len(audit.findings) == 1, audit.findings
    return audit.findings[0].code, dict(audit.findings[0].facts)


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        ("points = points + 1", "amounts"),
        ("available_after = available_after - 1", "amounts"),
        ("debt_after = debt_after + 8", "amounts"),
        ("credit_account = 'debt'", "amounts"),
        ("kind = 'imported'", "facts"),
        ("cause_id = cause_id || ' '", "facts"),
        ("reason = coalesce(reason, '') || '!'", "facts"),
        ("programme_version = 2", "facts"),
        ("occurred_at = occurred_at + interval '1 microsecond'", "facts"),
        ("recorded_at = recorded_at - interval '1 microsecond'", "facts"),
        ("occurred_at = 'infinity'", "facts"),
        ("occurred_at = '-infinity'", "facts"),
        ("recorded_at = 'infinity'", "facts"),
        ("recorded_at = '-infinity'", "facts"),
        # As microseconds these two are beyond a bigint, or nearly: the last and the first moment.
        ("recorded_at = '294276-12-31 23:59:59.999999Z'", "facts"),
        ("recorded_at = '4713-11-24 00:00:00Z BC'", "facts"),
        ("actor = 'nobody'", "facts"),
        ("hash = set_byte(hash, 31, get_byte(hash, 31) # 1)", "hash"),
        ("previous_hash = set_byte(previous_hash, 0, get_byte(previous_hash, 0) # 128)",
         "previous_hash"),
    ],
)  # fmt: skip
async def test_an_altered_entry_is_named_with_what_was_altered(
    loyalty: ServiceUnderTest, change: str, columns: str
) -> None:
    await tamper(loyalty, f"update point_entries set {change} where {AT}")
    found = only(await audited(loyalty))
    assert found == ("entry_altered", {"member": WHO, "seq": 7, "columns": columns})


async def test_the_last_entrys_hash_is_told_by_the_account(loyalty: ServiceUnderTest) -> None:
    last = await loyalty.scalar("select entry_seq from accounts where member_id = :id", id=WHO)
    await tamper(
        loyalty,
        "update point_entries set hash = sha256(hash)"
        f" where member_id = '{WHO}' and seq = {last}",
    )  # fmt: skip
    found = only(await audited(loyalty))
    assert found == ("entry_altered", {"member": WHO, "seq": last, "columns": "hash"})


@pytest.mark.parametrize(
    "change",
    [
        "update lot_allocations set points = points - 1",
        OTHER_LOT,
        "delete from lot_allocations",
    ],
)
async def test_an_altered_allocation_is_named_with_its_entry(
    loyalty: ServiceUnderTest, change: str
) -> None:
    await without_checks(loyalty)
    seq = await loyalty.scalar(
        "select max(entry_seq) from lot_allocations where member_id = :id", id=WHO
    )
    await tamper(loyalty, f"{change} where member_id = '{WHO}' and entry_seq = {seq}")
    found = only(await audited(loyalty))
    assert found == ("entry_altered", {"member": WHO, "seq": seq, "columns": "allocations"})


async def test_an_allocation_of_no_entry_is_named(loyalty: ServiceUnderTest) -> None:
    await tamper(
        loyalty,
        "insert into lot_allocations select member_id, 999, lot_id, 5 from lot_allocations"
        f" where member_id = '{WHO}' limit 1",
    )
    code, facts = only(await audited(loyalty))
    assert (code, facts["member"], facts["seq"]) == ("allocation_stray", WHO, 999)


async def test_a_removed_entry_is_named(loyalty: ServiceUnderTest) -> None:
    await tamper(loyalty, f"delete from point_entries where {AT}")
    assert only(await audited(loyalty)) == ("entry_missing", {"member": WHO, "seq": 7})


async def test_a_removed_entry_is_named_even_if_those_behind_it_move_up(
    loyalty: ServiceUnderTest,
) -> None:
    await tamper(
        loyalty,
        f"delete from point_entries where {AT}",
        "update point_entries set seq = seq + 1000"
        f" where member_id = '{WHO}' and seq > 7 and seq < 1000",
        f"update point_entries set seq = seq - 1001 where member_id = '{WHO}' and seq > 1000",
    )
    assert only(await audited(loyalty)) == ("entry_replaced", {"member": WHO, "seq": 7})


async def test_swapped_entries_are_named_as_moved(loyalty: ServiceUnderTest) -> None:
    await tamper(
        loyalty,
        f"update point_entries set seq = 999 where member_id = '{WHO}' and seq = 9",
        f"update point_entries set seq = 9 where {AT}",
        f"update point_entries set seq = 7 where member_id = '{WHO}' and seq = 999",
    )
    found = only(await audited(loyalty))
    assert found == ("entry_moved", {"member": WHO, "seq": 7, "now_at": 9})


async def test_a_member_removed_with_all_rows_is_missed(loyalty: ServiceUnderTest) -> None:
    await tamper(loyalty, *_removal(WHO))
    code, facts = only(await audited(loyalty))
    assert (code, facts) == ("member_gone", {"member": WHO, "seq": 1, "checkpoint": 1})


async def test_a_member_removed_even_from_the_checkpoints_is_missed(
    loyalty: ServiceUnderTest,
) -> None:
    heads = f"delete from ledger_checkpoint_heads where member_id = '{WHO}'"
    await tamper(loyalty, *_removal(WHO), heads)
    audit = await audited(loyalty)
    assert [(one.code, one.facts) for one in audit.findings] == [
        ("heads_altered", {"checkpoint": 1}),
        ("heads_altered", {"checkpoint": 2}),
    ]


async def test_a_tail_cut_off_together_with_the_account_is_missed(
    loyalty: ServiceUnderTest,
) -> None:
    await tamper(
        loyalty,
        f"delete from lot_allocations where member_id = '{WHO}' and entry_seq > 5",
        f"delete from point_entries where member_id = '{WHO}' and seq > 5",
        f"delete from point_lots where member_id = '{WHO}' and not exists (select 1 from"
        " lot_allocations a where a.member_id = point_lots.member_id and a.lot_id = id)",
        "update point_lots set remaining = (select sum(points) from lot_allocations a"
        f" where a.member_id = '{WHO}' and a.lot_id = id) where member_id = '{WHO}'",
        "update accounts set (available, pending, held, debt, entry_seq, entry_hash) = (select"
        " available_after, pending_after, held_after, debt_after, seq, hash from point_entries e"
        f" where e.member_id = '{WHO}' and e.seq = 5) where member_id = '{WHO}'",
    )
    code, facts = only(await audited(loyalty))
    assert (code, facts) == ("tail_missing", {"member": WHO, "seq": 6, "checkpoint": 1})


async def test_a_chain_rewritten_to_the_end_is_told_by_the_checkpoint(
    loyalty: ServiceUnderTest,
) -> None:
    await rewrite(loyalty, WHO, actor="somebody else")
    code, facts = only(await audited(loyalty))
    assert (code, facts["member"], facts["checkpoint"]) == ("chain_rewritten", WHO, 1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("accounts set available = available + 1", "account_disagrees"),
        ("accounts set debt = 1", "account_disagrees"),
        ("accounts set entry_seq = entry_seq + 1", "account_disagrees"),
        ("accounts set entry_hash = sha256('x')", "account_disagrees"),
        ("accounts set entry_seq = 900, entry_hash = sha256('x')", "entry_missing"),
        ("accounts set entry_seq = 3, entry_hash = sha256('x')", "entry_beyond"),
        ("point_lots set remaining = remaining + 1", "lot_disagrees"),
        ("point_lots set state = 'closed'", "lots_disagree"),
        ("accounts set member_id = 'mem_other'", "account_missing"),
    ],
)
async def test_accounts_and_lots_must_be_what_the_entries_lead_to(
    loyalty: ServiceUnderTest, change: str, code: str
) -> None:
    await without_checks(loyalty)
    await tamper(loyalty, f"update {change} where member_id = '{WHO}'")
    found = (await audited(loyalty)).findings
    assert [(one.code, one.facts["member"]) for one in found][:1] == [(code, WHO)]


@pytest.mark.parametrize("table", ["members", "accounts"])
async def test_a_missing_row_of_the_member_is_named(loyalty: ServiceUnderTest, table: str) -> None:
    key = "id" if table == "members" else "member_id"
    await tamper(loyalty, f"delete from {table} where {key} = '{WHO}'")
    code = "member_missing" if table == "members" else "account_missing"
    assert only(await audited(loyalty)) == (code, {"member": WHO})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("update ledger_checkpoints set taken_at = taken_at + interval '1 second'",
         "checkpoint_altered"),
        ("update ledger_checkpoints set taken_at = 'infinity'", "checkpoint_altered"),
        ("update ledger_checkpoints set taken_at = '-infinity'", "checkpoint_altered"),
        ("update ledger_checkpoints set members = members + 1", "checkpoint_altered"),
        ("update ledger_checkpoints set entries = entries + 1", "checkpoint_altered"),
        ("update ledger_checkpoints set digest = sha256(digest)", "checkpoint_altered"),
        ("update ledger_checkpoints set totals = totals || '{\"issued\": 0}'",
         "checkpoint_altered"),
        ("update ledger_checkpoints set totals = '{}'", "checkpoint_altered"),
        ("update ledger_checkpoints set balances = balances || '{\"held\": 1}'",
         "checkpoint_altered"),
        ("update ledger_checkpoints set hash = sha256(hash)", "checkpoint_altered"),
        ("update ledger_checkpoints set previous_hash = sha256('')", "checkpoint_altered"),
        ("delete from ledger_checkpoints", "checkpoint_missing"),
    ],
)  # fmt: skip
async def test_an_altered_checkpoint_is_named(
    loyalty: ServiceUnderTest, change: str, code: str
) -> None:
    await tamper(loyalty, f"{change} where number = 1")
    first = (await audited(loyalty)).findings[0]
    assert (first.code, first.facts) == (code, {"checkpoint": 1})


@pytest.mark.parametrize(
    "change", ["hash = sha256(hash)", "checkpoint = 2", "seq = seq - 1", "member_id = 'mem_new'"]
)
async def test_altered_heads_of_a_checkpoint_are_noticed(
    loyalty: ServiceUnderTest, change: str
) -> None:
    await tamper(
        loyalty,
        f"update ledger_checkpoint_heads set {change} where checkpoint = 1 and member_id = '{WHO}'",
    )
    audit = await audited(loyalty)
    codes = [(one.code, one.facts.get("checkpoint")) for one in audit.findings]
    assert ("heads_altered", 1) in codes


async def test_a_history_rewritten_as_a_whole_is_told_by_a_checkpoint_noted_outside(
    loyalty: ServiceUnderTest,
) -> None:
    proof = (await loyalty.call("show_ledger_proof")).json()["checkpoint"]
    noted = Expected(number=proof["number"], hash=proof["hash"])
    assert (await audited(loyalty, expected=noted)).faults == 0
    for member in member_ids(4):
        await rewrite(loyalty, member, actor="somebody else")
    await tamper(loyalty, "delete from ledger_checkpoints", "delete from ledger_checkpoint_heads")
    assert await checkpoint(loyalty) == 1
    assert (await audited(loyalty)).faults == 0, "it agrees with itself"
    code, _ = only(await audited(loyalty, expected=noted))
    assert code == "checkpoint_absent"
    await write_history(loyalty, members=1, entries=1)
    assert await checkpoint(loyalty) == 1
    assert (await audited(loyalty)).faults == 0, "it agrees with itself up to the number noted"
    code, facts = only(await audited(loyalty, expected=noted))
    assert (code, facts) == ("checkpoint_not_as_noted", {"checkpoint": 2})


async def test_a_checkpoint_beyond_the_last_one_is_not_there(loyalty: ServiceUnderTest) -> None:
    proof = (await loyalty.call("show_ledger_proof")).json()["checkpoint"]
    noted = Expected(number=proof["number"], hash=proof["hash"])
    await tamper(
        loyalty,
        "delete from ledger_checkpoints where number = 2",
        "delete from ledger_checkpoint_heads where checkpoint = 2",
    )
    assert (await audited(loyalty)).faults == 0, "what is left agrees with itself"
    found = only(await audited(loyalty, expected=noted))
    assert found == ("checkpoint_absent", {"checkpoint": 2, "newest": 1})
    await tamper(loyalty, "delete from ledger_checkpoints", "delete from ledger_checkpoint_heads")
    found = only(await audited(loyalty, expected=noted))
    assert found == ("checkpoint_absent", {"checkpoint": 2, "newest": 0})


def _removal(member_id: str) -> list[str]:
    tables = ("lot_allocations", "point_entries", "point_lots", "accounts")
    rows = [f"delete from {table} where member_id = '{member_id}'" for table in tables]
    return [*rows, f"delete from members where id = '{member_id}'"]
