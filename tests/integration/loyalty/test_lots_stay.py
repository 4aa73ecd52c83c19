"""A lot's end moves later or not at all, and nobody's broken books hold up the end of others'."""

from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from services.loyalty.jobs import JOBS
from services.loyalty.store.due import LOOKED_AT
from shared.jobs import TRIED_PER_STEP
from tests.integration.loyalty import orders_world
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.lots_world import (
    DAY,
    EXPIRE,
    LOT_JOBS,
    RELEASE,
    deliver,
    extensions,
    run,
    schedule_of,
    shanghai,
    with_points,
)
from tests.integration.loyalty.members_world import reserve
from tests.integration.loyalty.moves import cancel, give, held, publish
from tests.integration.loyalty.people import complete, enrol, place, points_of, redeem
from tests.integration.loyalty.test_lots import extend, reinstate, with_lapsed
from tests.support.service import ServiceUnderTest, Starter

RELEASE_HOLDS, RELEASE_RESERVATIONS = [
    next(job for job in JOBS if job.name == f"release_stale_{name}")
    for name in ("holds", "reservations")
]
#: Lots of a member that became available or lapse at a moment, beside the books.
LOTS = """
    insert into point_lots (member_id, id, cause_kind, cause_id, state, points, remaining,
      available_at, expires_at, programme_version, created_at)
    select :id, 'lot_' || state || n, 'order', 'O-' || n, state, 1, 1,
      at, case state when 'available' then at end, 1, at
    from (select cast(:state as text) as state, cast(:at as timestamptz) as at) as given,
      generate_series(1, :count) n
"""


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


#: More than a job looks at for one of its pages.
MANY = LOOKED_AT + 1


async def break_books(loyalty: ServiceUnderTest, member_id: str) -> None:
    """Give a member a lot that is due and that their balance knows nothing of."""
    await loyalty.change(LOTS, id=member_id, state="pending", at=loyalty.clock.at, count=1)


async def test_a_broken_member_with_ever_so_many_due_lots_holds_up_nobody(
    loyalty: ServiceUnderTest,
) -> None:
    broken, sound = await enrol(loyalty), await enrol(loyalty)
    await loyalty.change(LOTS, id=broken, state="pending", at=loyalty.clock.at, count=MANY)
    await complete(loyalty, await place(loyalty, sound, paid_fen=10_000))
    loyalty.clock.advance(timedelta(days=8))

    assert await run(loyalty, RELEASE) == 1

    rows = await loyalty.rows("select available from accounts where member_id = :id", id=sound)
    assert [row.available for row in rows] == [100]
    assert await run(loyalty, RELEASE) == 0


async def test_a_broken_member_with_ever_so_many_lots_past_their_day_holds_up_nobody(
    loyalty: ServiceUnderTest,
) -> None:
    sound = await with_points(loyalty, points=100)
    broken = await enrol(loyalty)
    loyalty.clock.at = DAY - timedelta(days=1)
    await loyalty.change(LOTS, id=broken, state="available", at=loyalty.clock.at, count=MANY)
    await break_books(loyalty, broken)
    loyalty.clock.at = DAY

    assert await run(loyalty, EXPIRE) == 1

    assert [one["member_id"] for one in await extensions(loyalty)] == [sound]


async def test_a_broken_member_with_ever_so_many_holds_that_are_over_holds_up_nobody(
    loyalty: ServiceUnderTest,
) -> None:
    broken, sound = await enrol(loyalty), await enrol(loyalty)
    await give(loyalty, sound, 100)
    await loyalty.change(
        "insert into redemptions"
        " (id, member_id, state, points, purpose, reference, hold_expires_at, created_at)"
        " select 'rdm_' || n, :id, 'held', 1, 'gift', 'R-' || n, :at, :at"
        " from generate_series(1, :count) n",
        id=broken, at=loyalty.clock.at, count=MANY,
    )  # fmt: skip
    await break_books(loyalty, broken)
    await held(loyalty, sound, 100)
    loyalty.clock.advance(timedelta(days=1))

    assert await run(loyalty, RELEASE_HOLDS) == 1

    assert (await points_of(loyalty, sound))["available"] == 100


async def test_ever_so_many_reservations_that_cannot_be_given_back_hold_up_nobody(
    loyalty: ServiceUnderTest,
) -> None:
    broken, sound = [await enrol(loyalty) for _ in range(2)]
    for member_id in (broken, sound):
        await give(loyalty, member_id, 100)
        await reserve(loyalty, member_id, points=100)
        loyalty.clock.advance(timedelta(seconds=1))
    await loyalty.change(
        "insert into reservations select (jsonb_populate_record(one, jsonb_build_object("
        "'id', 'rsv_' || n))).* from reservations as one, generate_series(1, :count) n"
        " where member_id = :id",
        id=broken, count=TRIED_PER_STEP,
    )  # fmt: skip
    await loyalty.change("update accounts set held = 0 where member_id = :id", id=broken)
    loyalty.clock.advance(timedelta(days=1))

    assert await run(loyalty, RELEASE_RESERVATIONS) == 1

    assert (await points_of(loyalty, sound))["available"] == 100


async def test_points_given_some_more_time_have_it_to_the_end_of_a_business_day(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    await publish(loyalty, redeem={"restore_grace_days": 30})
    redemption = (await redeem(loyalty, member_id, points=100)).json()["id"]
    loyalty.clock.at = shanghai(2027, 11, 12, 15) + timedelta(minutes=30)
    assert (await cancel(loyalty, redemption)).status_code == 200
    assert await schedule_of(loyalty, member_id) == [(100, "2027-12-12T16:00:00Z")]
