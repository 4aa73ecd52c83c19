"""Proofs go on when a row is dated in the future: by a clock that was ahead, or by a hand."""

from datetime import timedelta
from typing import Final

import pytest

from services.loyalty.operations.checkpoints import take_checkpoint
from services.loyalty.operations.reconciliations import reconcile_ledger
from tests.integration.loyalty.ledger_world import (
    HOUR,
    audited,
    checkpoint,
    member_ids,
    reconcile,
    tamper,
    write_history,
)
from tests.support.service import ServiceUnderTest, Starter

DAY: Final = timedelta(days=1)
AHEAD: Final = timedelta(days=400)
WHO: Final = member_ids(3)[1]


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    service = await start("loyalty")
    await write_history(service, members=3, entries=6)
    return service


async def figure(loyalty: ServiceUnderTest, name: str) -> float:
    """What one figure says."""
    lines = (await loyalty.call("show_loyalty_metrics")).text.splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
    return float(value)


async def test_a_clock_that_was_ahead_stops_neither_checkpoints_nor_reconciliation(
    loyalty: ServiceUnderTest,
) -> None:
    loyalty.clock.advance(AHEAD)
    assert await checkpoint(loyalty) == 1
    assert (await reconcile(loyalty))["holds"] is True
    loyalty.clock.advance(-AHEAD)
    await write_history(loyalty, members=3, entries=6)
    assert await checkpoint(loyalty) == 1
    await tamper(loyalty, f"update accounts set available = 0 where member_id = '{WHO}'")
    proof = await reconcile(loyalty)
    assert (proof["checkpoint"]["number"], proof["holds"], proof["disagreements"]) == (2, False, 1)
    assert proof["checked_at"].startswith(loyalty.clock.now().isoformat()[:16])
    assert await figure(loyalty, "huitou_ledger_disagreements") == 1
    now = loyalty.clock.now().timestamp()
    assert await figure(loyalty, "huitou_ledger_reconciled_timestamp_seconds") == now
    taken = await figure(loyalty, "huitou_ledger_checkpoint_timestamp_seconds")
    assert taken == now - DAY.total_seconds()


async def test_a_row_put_in_for_the_future_proves_nothing(loyalty: ServiceUnderTest) -> None:
    await checkpoint(loyalty)
    await reconcile(loyalty)
    await tamper(
        loyalty,
        "insert into ledger_reconciliations (id, state, requested_by, after_member, members,"
        " members_total, entries, sums, disagreements, first_disagreements, started_at,"
        " finished_at) values ('rcn_forged', 'done', 'nobody', '', 3, 3, 18, '{}', 0, '[]',"
        " timestamptz '2999-01-01', timestamptz '2999-01-01')",
        f"update accounts set available = 0 where member_id = '{WHO}'",
    )
    proof = await reconcile(loyalty)
    assert (proof["holds"], proof["disagreements"]) == (False, 1)
    now = loyalty.clock.now().timestamp()
    assert await figure(loyalty, "huitou_ledger_reconciled_timestamp_seconds") == now


async def test_one_begun_while_the_clock_was_ahead_is_the_newest_once_it_has_ended(
    loyalty: ServiceUnderTest,
) -> None:
    await reconcile(loyalty)
    loyalty.clock.advance(AHEAD)
    assert (await loyalty.call("start_reconciliation")).status_code == 202
    loyalty.clock.advance(HOUR - AHEAD)
    await tamper(loyalty, f"update accounts set available = 0 where member_id = '{WHO}'")
    while await loyalty.database.run(lambda tx: reconcile_ledger(tx, every=DAY), actor="test"):
        pass
    assert (await loyalty.call("show_ledger_proof")).json()["holds"] is False
    assert await loyalty.scalar("select count(*) from ledger_reconciliations") == 2


async def test_what_was_reconciled_and_no_checkpoint_covers_is_a_figure(
    loyalty: ServiceUnderTest,
) -> None:
    entries = await loyalty.scalar("select count(*) from point_entries")
    await reconcile(loyalty)
    assert await figure(loyalty, "huitou_ledger_uncovered_entries") == entries
    assert await figure(loyalty, "huitou_ledger_checkpoint_timestamp_seconds") == 0
    taken = await loyalty.database.run(lambda tx: take_checkpoint(tx, every=HOUR), actor="test")
    assert taken == 1
    await loyalty.database.run(lambda tx: reconcile_ledger(tx, every=DAY), actor="test")
    assert await figure(loyalty, "huitou_ledger_uncovered_entries") == 0, "an idle shop is covered"
    assert (await audited(loyalty)).faults == 0
