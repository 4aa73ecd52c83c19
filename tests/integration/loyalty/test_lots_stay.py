"""A lot's end moves later or not at all, and nobody's broken books hold up the end of others'."""

from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from tests.integration.loyalty import orders_world
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.lots_world import (
    DAY,
    EXPIRE,
    LOT_JOBS,
    deliver,
    extensions,
    run,
    schedule_of,
    shanghai,
    with_points,
)
from tests.integration.loyalty.moves import cancel, publish
from tests.integration.loyalty.people import complete, enrol, place, points_of, redeem
from tests.integration.loyalty.test_lots import extend, reinstate, with_lapsed
from tests.support.service import ServiceUnderTest, Starter


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_a_completion_leaves_an_extended_lot_where_it_is(loyalty: ServiceUnderTest) -> None:
    await orders_world.publish(loyalty, pending="payment")
    loyalty.clock.at = shanghai(2026, 11, 23, 12)
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    assert (await extend(loyalty, member_id)).status_code == 201
    loyalty.clock.advance(timedelta(days=1))
    await complete(loyalty, order_id)
    loyalty.clock.at = DAY
    await run(loyalty, *LOT_JOBS)
    assert await schedule_of(loyalty, member_id) == [(100, "2028-02-29T16:00:00Z")]
    assert [one["reason"] for one in await extensions(loyalty)] == ["by_operator"]


async def test_what_is_given_back_later_does_not_bring_the_end_of_a_spent_lot_forward(
    loyalty: ServiceUnderTest,
) -> None:
    member_id, lot_id = await with_lapsed(loyalty)
    assert (await reinstate(loyalty, member_id, lot_id, points=50)).status_code == 201
    assert (await extend(loyalty, member_id)).status_code == 201
    await redeem(loyalty, member_id, points=50)
    assert (await reinstate(loyalty, member_id, lot_id, points=50)).status_code == 201
    assert await schedule_of(loyalty, member_id) == [(50, "2028-02-29T16:00:00Z")]
    loyalty.clock.at = shanghai(2028, 3, 1)
    await run(loyalty, *LOT_JOBS)
    assert (await points_of(loyalty, member_id))["available"] == 50
    await audit(loyalty)


async def test_one_members_broken_books_hold_up_nobody_else(loyalty: ServiceUnderTest) -> None:
    broken, sound = [await with_points(loyalty, points=100) for _ in range(2)]
    loyalty.clock.at = DAY - timedelta(days=30)
    await run(loyalty, *LOT_JOBS)
    for notice in (await loyalty.call("list_expiry_notices")).json()["data"]:
        await deliver(loyalty, notice["id"])
    await loyalty.change("update accounts set available = 7 where member_id = :id", id=broken)
    left_out = {"actor": "job:expire_due_lots"}
    before = REGISTRY.get_sample_value("huitou_job_left_out_total", left_out) or 0
    loyalty.clock.at = DAY
    assert await run(loyalty, EXPIRE) >= 1
    assert (await points_of(loyalty, sound))["available"] == 0
    assert (await points_of(loyalty, broken))["available"] == 7
    expired = await loyalty.rows("select subject from outbox where type = 'points.expired.v1'")
    assert [row.subject for row in expired] == [sound], "what was undone is not told either"
    after = REGISTRY.get_sample_value("huitou_job_left_out_total", left_out) or 0
    assert after > before


async def test_points_given_some_more_time_have_it_to_the_end_of_a_business_day(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    await publish(loyalty, redeem={"restore_grace_days": 30})
    redemption = (await redeem(loyalty, member_id, points=100)).json()["id"]
    loyalty.clock.at = shanghai(2027, 11, 12, 15) + timedelta(minutes=30)
    assert (await cancel(loyalty, redemption)).status_code == 200
    assert await schedule_of(loyalty, member_id) == [(100, "2027-12-12T16:00:00Z")]
