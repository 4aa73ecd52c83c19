"""The activity policy: who keeps buying or spending keeps their points."""

from datetime import timedelta

import pytest

from shared.kernel.clock import rfc3339
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.lots_world import (
    LOT_JOBS,
    RELEASE,
    announced,
    deliver,
    extensions,
    nothing_lapsed_unheard,
    publish,
    run,
    schedule_of,
    shanghai,
    with_points,
)
from tests.integration.loyalty.moves import capture, held, release
from tests.integration.loyalty.people import complete, enrol, place, points_of, redeem
from tests.support.service import ServiceUnderTest, Starter

NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}
#: Points of 2026-11-30 under a policy of three months are good through February.
MARCH = shanghai(2027, 3, 1)


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    started = await start("loyalty")
    await publish(started, policy="activity", months=3)
    return started


async def test_without_activity_points_last_as_under_the_rolling_policy(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    assert await schedule_of(loyalty, member_id) == [(100, "2027-02-28T16:00:00Z")]


async def test_a_redemption_moves_what_is_left_to_the_end_of_the_month_three_months_on(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    loyalty.clock.at = shanghai(2027, 1, 1) - timedelta(microseconds=1)  # still December
    await redeem(loyalty, member_id, points=10)
    assert await schedule_of(loyalty, member_id) == [(90, "2027-03-31T16:00:00Z")]
    loyalty.clock.at = shanghai(2027, 1, 1)  # in UTC it is December for eight hours more
    await redeem(loyalty, member_id, points=10)
    assert await schedule_of(loyalty, member_id) == [(80, "2027-04-30T16:00:00Z")]
    assert await audit(loyalty) == 4


async def test_held_points_are_activity_once_they_are_captured(loyalty: ServiceUnderTest) -> None:
    member_id = await with_points(loyalty, points=100)
    loyalty.clock.at = shanghai(2027, 1, 10)
    released, captured = [
        await held(loyalty, member_id, 10, reference=reference) for reference in ("G-1", "G-2")
    ]
    await release(loyalty, released)
    assert await schedule_of(loyalty, member_id) == [(90, "2027-02-28T16:00:00Z")]
    assert (await capture(loyalty, captured, 4)).status_code == 200
    assert await schedule_of(loyalty, member_id) == [(96, "2027-04-30T16:00:00Z")]
    loyalty.clock.at = shanghai(2027, 2, 10)
    everything = await held(loyalty, member_id, 96, reference="G-3")
    assert (await capture(loyalty, everything, 6)).status_code == 200
    assert await schedule_of(loyalty, member_id) == [(90, "2027-05-31T16:00:00Z")]
    await audit(loyalty)


async def test_a_paid_order_counts_from_when_it_was_paid_and_never_shortens(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    loyalty.clock.at = shanghai(2027, 2, 10)
    await place(loyalty, member_id, paid_fen=100, paid_at="2027-01-31T23:59:59+08:00")
    assert await schedule_of(loyalty, member_id) == [(100, "2027-04-30T16:00:00Z")]
    await place(loyalty, member_id, paid_fen=100, paid_at="2026-12-31T12:00:00+08:00")
    assert await schedule_of(loyalty, member_id) == [(100, "2027-04-30T16:00:00Z")]
    ahead = rfc3339(loyalty.clock.now() + timedelta(minutes=5))
    await place(loyalty, member_id, paid_fen=100, paid_at=ahead)
    assert await schedule_of(loyalty, member_id) == [(100, "2027-05-31T16:00:00Z")], "by our clock"


async def test_the_order_that_made_a_lot_does_not_touch_it_while_it_is_pending(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    loyalty.clock.at = shanghai(2026, 11, 23, 12)
    await place(loyalty, member_id, paid_fen=10_000)
    order_id = await place(loyalty, member_id, paid_fen=5_000)
    await complete(loyalty, order_id)
    loyalty.clock.at = shanghai(2026, 12, 30)
    await run(loyalty, RELEASE)
    await redeem(loyalty, member_id, points=10)
    lots = await loyalty.rows("select state, expires_at from point_lots order by points")
    assert [(lot.state, lot.expires_at) for lot in lots] == [
        ("available", shanghai(2027, 4, 1)), ("pending", None),
    ]  # fmt: skip


async def test_lots_of_other_policies_stay_where_they_are(loyalty: ServiceUnderTest) -> None:
    member_id = await with_points(loyalty, points=100)
    for version, policy in ((3, {"policy": "rolling", "months": 12}), (4, {"policy": "never"})):
        await publish(loyalty, version=version, **policy)
        await complete(loyalty, await place(loyalty, member_id, paid_fen=1_000))
        loyalty.clock.advance(timedelta(days=8))
    loyalty.clock.at = shanghai(2027, 1, 20)
    await redeem(loyalty, member_id, points=1)
    assert await schedule_of(loyalty, member_id) == [
        (99, "2027-04-30T16:00:00Z"), (10, "2027-12-31T16:00:00Z"), (10, None),
    ]  # fmt: skip


async def test_a_moved_lot_needs_a_notice_of_its_new_day(loyalty: ServiceUnderTest) -> None:
    member_id = await with_points(loyalty, points=100)
    await deliver(loyalty, (await announced(loyalty, at=MARCH - timedelta(days=30)))["id"])
    await redeem(loyalty, member_id, points=10)
    loyalty.clock.at = MARCH
    await run(loyalty, *LOT_JOBS)
    assert (await points_of(loyalty, member_id))["available"] == 90
    assert await extensions(loyalty) == []


async def test_activity_after_the_day_comes_too_late_though_no_job_has_been_there(
    loyalty: ServiceUnderTest,
) -> None:
    """What was due comes first: the points lapsed, whoever was late."""
    member_id = await with_points(loyalty, points=100)
    await deliver(loyalty, (await announced(loyalty, at=MARCH - timedelta(days=30)))["id"])
    loyalty.clock.at = MARCH
    await place(loyalty, member_id, paid_fen=100, paid_at="2027-03-01T00:00:00+08:00")
    assert await points_of(loyalty, member_id) == {**NOTHING, "pending": 1}
    assert await nothing_lapsed_unheard(loyalty) == 1
    assert await run(loyalty, *LOT_JOBS) == 0
    await audit(loyalty)


async def test_activity_after_an_unheard_day_extends_first_and_then_moves(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    loyalty.clock.at = MARCH
    await place(loyalty, member_id, paid_fen=100, paid_at="2027-03-01T00:00:00+08:00")
    assert await schedule_of(loyalty, member_id) == [(100, "2027-06-30T16:00:00Z")]
    [extension] = await extensions(loyalty)
    assert (extension["reason"], extension["expires_at"]) == (
        "never_announced", "2027-03-31T16:00:00Z",
    )  # fmt: skip
    assert await run(loyalty, *LOT_JOBS) == 0
    await audit(loyalty)
