"""What falls due happens at its very moment, however the clock is moved past it."""

from datetime import datetime, timedelta

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from gateway.operations.test_clock import ClockIsMoving, ClockTooFar
from shared.db import Transaction
from shared.jobs import Job
from tests.integration.test_clock.conftest import Opener
from tests.integration.test_clock.history import tell
from tests.integration.test_clock.sandbox import Sandbox

DAY = timedelta(days=1)
LATE = {
    "points released": """
        select * from point_lots join point_entries as entry
          on entry.member_id = point_lots.member_id and entry.cause_id = point_lots.cause_id
        where entry.kind = 'released' and entry.recorded_at <> point_lots.available_at
    """,
    "vouchers lapsed": "select * from vouchers where state = 'expired' and closed_at <> expires_at",
    "baskets let go": """
        select * from reservations where state = 'expired' and closed_at <> expires_at
    """,
    "holds let go": """
        select * from redemptions join point_entries as entry
          on entry.cause_kind = 'redemption' and entry.cause_id = redemptions.id
        where state = 'released' and entry.debit_account = 'held'
          and (entry.recorded_at <> hold_expires_at or entry.occurred_at <> hold_expires_at)
    """,
    "uploads given up": """
        select * from imports
        where state = 'failed' and finished_at <> touched_at + interval '2 minutes 1 microsecond'
    """,
}


async def advance_of(box: Sandbox) -> tuple[datetime, int, bool, str | None]:
    (row,) = await box.services["gateway"].rows(
        "select at, moments, settled, waiting_for from clock_advances order by id desc limit 1"
    )
    return row.at, row.moments, row.settled, row.waiting_for


async def test_everything_happens_at_its_moment(open_sandbox: Opener) -> None:
    box = await open_sandbox()
    await tell(box)
    await box.advance(10 * DAY)
    for what, statement in LATE.items():
        assert await box.loyalty.rows(statement) == [], what
    happened = [
        "select count(*) from point_entries where kind = 'released'",
        "select count(*) from vouchers where state = 'expired'",
        "select count(*) from reservations where state = 'expired'",
        "select count(*) from imports where state = 'failed'",
        "select count(*) from redemptions where state = 'released'",
    ]
    assert [await box.loyalty.scalar(one) for one in happened] == [2, 1, 1, 1, 1]
    nights = await box.segmentation.rows(
        "select created_at at time zone 'Asia/Shanghai' as at from segment_runs"
        " order by id offset 1"
    )
    assert len(nights) == 10
    assert {(night.at.hour, night.at.minute) for night in nights} == {(2, 0)}


async def test_a_clock_that_was_let_go_flows_on(open_sandbox: Opener) -> None:
    box = await open_sandbox()
    began = box.now()
    await box.advance(DAY)
    box.machine.advance(timedelta(minutes=3))
    assert box.now() == began + DAY + timedelta(minutes=3)
    await box.advance(timedelta(seconds=1))
    assert box.now() == began + DAY + timedelta(minutes=3, seconds=1)


async def test_one_move_at_a_time_and_none_beyond_the_end_of_time(open_sandbox: Opener) -> None:
    box = await open_sandbox()
    with pytest.raises(ClockTooFar):
        await box.ask(80 * 366 * DAY)
    assert not await box.journey.make_open()
    await box.ask(DAY)
    with pytest.raises(ClockIsMoving):
        await box.ask(DAY)
    assert await box.journey.make_open()
    assert not await box.journey.make_open()
    await box.ask(DAY)


async def test_a_move_that_was_cut_short_anywhere_ends_as_if_it_had_not(
    open_sandbox: Opener,
) -> None:
    """A killed gateway leaves clocks standing at two moments; another process goes on."""
    box = await open_sandbox()
    await tell(box)
    began = box.now()
    await box.ask(30 * DAY)
    # At once; in a quiet night; when loyalty has released points and nobody has heard; late.
    for cut in (1, 9, 4, 20):
        calls = 0
        visit = box.keepers["referral"].visit

        async def dying(*, at: datetime, cut: int = cut, visit: object = visit) -> object:
            nonlocal calls
            calls += 1
            if calls == cut:
                raise KeyboardInterrupt
            return await visit(at=at)  # type: ignore[operator]

        box.keepers["referral"].visit = dying  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt):
            await box.journey.make_open()
        box.keepers["referral"].visit = visit  # type: ignore[method-assign]
    assert await box.journey.make_open()
    assert box.now() == began + 30 * DAY
    for what, statement in LATE.items():
        assert await box.loyalty.rows(statement) == [], what
    assert (await advance_of(box))[2:] == (True, None)


async def test_a_job_that_never_comes_further_holds_nothing_up(open_sandbox: Opener) -> None:
    async def nothing(transaction: Transaction) -> int:
        return 0

    async def now(session: AsyncSession, after: datetime) -> datetime:
        return after

    async def at_once(session: AsyncSession, after: datetime) -> datetime:
        return after + timedelta(microseconds=1)

    jobs = [
        Job(name="stuck", every_s=1, step=nothing, next_due=now),
        Job(name="restless", every_s=1, step=nothing, next_due=at_once),
    ]
    box = await open_sandbox(jobs={"referral": jobs})
    await box.advance(DAY)
    _, moments, settled, _ = await advance_of(box)
    assert settled
    assert moments < 120
    night = "select count(*) from segment_runs"
    assert await box.segmentation.scalar(night) == 2


async def test_a_job_with_a_defect_holds_nothing_up(open_sandbox: Opener) -> None:
    async def defect(transaction: Transaction) -> int:
        raise RuntimeError("a defect")

    box = await open_sandbox(jobs={"referral": [Job(name="defect", every_s=1, step=defect)]})
    await box.advance(DAY)
    assert (await advance_of(box))[2]


async def test_who_looks_is_told_which_service_the_clock_waits_for(open_sandbox: Opener) -> None:
    box = await open_sandbox()
    seen: list[str | None] = []
    go = box.keepers["loyalty"].go

    async def away(*, offset: timedelta) -> None:
        seen.append((await advance_of(box))[3])
        if len(seen) < 3:
            raise ConnectionError
        await go(offset=offset)

    box.keepers["loyalty"].go = away  # type: ignore[method-assign]
    await box.advance(DAY)
    assert seen == [None, "loyalty", "loyalty"]
    assert (await advance_of(box))[3] is None
