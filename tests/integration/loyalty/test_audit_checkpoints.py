"""Checkpoints: taken when something moved, chained, and cheap by what moved."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from services.loyalty.operations.checkpoints import AccountsDisagree, take_checkpoint
from shared.db import is_transient
from shared.sql import execute
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.ledger_world import (
    HOUR,
    audited,
    checkpoint,
    reconcile,
    tamper,
    write_history,
)
from tests.integration.loyalty.people import enrol, redeem, spendable
from tests.support.service import ServiceUnderTest, Starter


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def proof(loyalty: ServiceUnderTest) -> dict[str, Any]:
    reply = await loyalty.call("show_ledger_proof")
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def test_an_empty_ledger_has_no_checkpoint(loyalty: ServiceUnderTest) -> None:
    await enrol(loyalty)
    assert await checkpoint(loyalty) == 0
    assert await proof(loyalty) == {
        "checkpoint": None, "entries_since_checkpoint": 0, "holds": None, "checked_at": None,
        "reconciliation_id": None, "disagreements": 0, "first_disagreements": [],
    }  # fmt: skip


async def test_a_checkpoint_tells_all_that_members_have_and_where_it_came_from(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await spendable(loyalty, points=100)
    await redeem(loyalty, member_id, points=30)
    assert await checkpoint(loyalty) == 1
    found = (await proof(loyalty))["checkpoint"]
    assert (found["number"], found["members"], found["entries"]) == (1, 1, 3)
    totals = {name: points for name, points in found["totals"].items() if points}
    assert totals == {"available": 70, "issued": -100, "redeemed": 30}
    assert sum(totals.values()) == 0


async def test_no_checkpoint_is_taken_while_nothing_moves_or_too_early(
    loyalty: ServiceUnderTest,
) -> None:
    await write_history(loyalty, members=3, entries=6)
    assert await checkpoint(loyalty) == 1
    assert await checkpoint(loyalty) == 0, "nothing moved"
    await write_history(loyalty, members=1, entries=6)
    assert await checkpoint(loyalty) == 1
    await write_history(loyalty, members=1, entries=6)
    taken = await loyalty.database.run(lambda tx: take_checkpoint(tx, every=HOUR), actor="test")
    assert taken == 0, "the last one is not an hour old"
    assert (await proof(loyalty))["entries_since_checkpoint"] >= 6


async def test_totals_are_carried_forward_and_only_who_moved_has_a_head(
    loyalty: ServiceUnderTest,
) -> None:
    for members in (5, 2, 4):
        await write_history(loyalty, members=members, entries=6)
        assert await checkpoint(loyalty) == 1
    heads = await loyalty.rows(
        "select checkpoint, count(*) from ledger_checkpoint_heads group by 1 order by 1"
    )
    assert [tuple(row) for row in heads] == [(1, 5), (2, 2), (3, 4)]
    sums = await loyalty.rows(
        "select account, sum(points)::bigint as points from (select debit_account as account,"
        " -points as points from point_entries union all select credit_account, points"
        " from point_entries) as moved group by 1"
    )
    last = (await proof(loyalty))["checkpoint"]
    assert {name: n for name, n in last["totals"].items() if n} == {
        row.account: row.points for row in sums if row.points
    }
    assert last["entries"] == await loyalty.scalar("select count(*) from point_entries")
    assert (await audited(loyalty)).faults == 0


async def test_two_replicas_at_once_take_one_checkpoint(loyalty: ServiceUnderTest) -> None:
    await write_history(loyalty, members=3, entries=6)
    loyalty.clock.advance(HOUR)
    async with loyalty.database.begin(actor="test") as other:
        # The other one has the turn and is at work.
        await execute(other.session, text("select pg_advisory_xact_lock(4203162)"))
        taken = await loyalty.database.run(lambda tx: take_checkpoint(tx, every=HOUR), actor="test")
        assert taken == 0
    assert await checkpoint(loyalty) == 1


async def test_a_checkpoint_taken_while_members_spend_agrees_with_itself(
    loyalty: ServiceUnderTest,
) -> None:
    members = [await spendable(loyalty, points=100) for _ in range(4)]
    spending = [redeem(loyalty, one, points=10) for one in members for _ in range(5)]
    replies, *taken = await asyncio.gather(
        asyncio.gather(*spending), checkpoint(loyalty), checkpoint(loyalty)
    )
    assert all(reply.status_code in (201, 503) for reply in replies)
    assert sum(taken) >= 1
    await checkpoint(loyalty)
    assert (await audited(loyalty)).faults == 0
    assert await audit(loyalty) > 0


async def test_a_member_set_back_does_not_become_history(loyalty: ServiceUnderTest) -> None:
    who = (await write_history(loyalty, members=2, entries=6))[0]
    assert await checkpoint(loyalty) == 1
    await tamper(
        loyalty,
        "update accounts set entry_seq = 2, entry_hash = (select hash from point_entries e"
        f" where e.member_id = '{who}' and e.seq = 2) where member_id = '{who}'",
    )
    await checkpoint(loyalty)
    assert await loyalty.scalar("select count(*) from ledger_checkpoint_heads") == 2


async def test_an_account_that_is_wrong_for_an_hour_is_not_written_down(
    loyalty: ServiceUnderTest,
) -> None:
    who = (await write_history(loyalty, members=2, entries=6))[0]
    assert await checkpoint(loyalty) == 1
    await write_history(loyalty, members=2, entries=6)
    change = f"update accounts set available = available {{}} 1 where member_id = '{who}'"
    await tamper(loyalty, change.format("+"))
    with pytest.raises(AccountsDisagree, match="the accounts add up to") as refused:
        await checkpoint(loyalty)
    assert not is_transient(refused.value), "the job fails aloud"
    assert await heads_without_checkpoint(loyalty) == 0
    assert (await proof(loyalty))["checkpoint"]["number"] == 1
    await tamper(loyalty, change.format("-"))
    assert await checkpoint(loyalty) == 1
    assert (await audited(loyalty)).faults == 0
    assert (await reconcile(loyalty))["holds"] is True


@pytest.mark.parametrize("change", ["entry_seq = entry_seq + 1", "entry_hash = sha256(entry_hash)"])
@pytest.mark.parametrize("moved", [False, True])
async def test_a_head_that_is_no_entry_is_not_written_down(
    loyalty: ServiceUnderTest, change: str, moved: bool
) -> None:
    who = (await write_history(loyalty, members=2, entries=6))[0]
    assert await checkpoint(loyalty) == 1
    if moved:
        await write_history(loyalty, members=2, entries=6)
    (right,) = await loyalty.rows(
        "select entry_seq, entry_hash from accounts where member_id = :who", who=who
    )
    await tamper(loyalty, f"update accounts set {change} where member_id = '{who}'")
    if moved:
        with pytest.raises(AccountsDisagree):
            await checkpoint(loyalty)
    else:
        assert await checkpoint(loyalty) == 0, "nobody has moved"
    assert await heads_without_checkpoint(loyalty) == 0
    await tamper(
        loyalty,
        "update accounts set entry_seq = :seq, entry_hash = :hash where member_id = :who",
        seq=right.entry_seq, hash=right.entry_hash, who=who,
    )  # fmt: skip
    await write_history(loyalty, members=2, entries=6)
    assert await checkpoint(loyalty) == 1
    assert await heads_without_checkpoint(loyalty) == 0
    assert (await audited(loyalty)).faults == 0
    assert (await reconcile(loyalty))["holds"] is True


async def heads_without_checkpoint(loyalty: ServiceUnderTest) -> int:
    """How many heads stand under a checkpoint that is not there."""
    found: int = await loyalty.scalar(
        "select count(*) from ledger_checkpoint_heads as heads where not exists"
        " (select 1 from ledger_checkpoints where number = heads.checkpoint)"
    )
    return found
