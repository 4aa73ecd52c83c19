"""No silent expiry: a lot lapses after a notice that was delivered in time, else it is extended."""

import asyncio
from datetime import timedelta

import pytest

from shared.kernel.clock import rfc3339
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.lots_world import (
    ANNOUNCE,
    DAY,
    EXPIRE,
    LATER,
    LOT_JOBS,
    announced,
    deliver,
    extensions,
    lots_of,
    nothing_lapsed_unheard,
    notices,
    run,
    schedule_of,
    shanghai,
    with_points,
)
from tests.integration.loyalty.moves import held, release
from tests.integration.loyalty.people import (
    complete,
    everything,
    place,
    points_of,
    redeem,
    refund,
    types_of_events,
    wallet_of,
)
from tests.integration.loyalty.racing import ACCOUNTS, race, replicas_of
from tests.support.service import ServiceUnderTest, Starter

NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}
MOMENT = timedelta(microseconds=1)


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_points_lapse_at_the_end_of_their_last_day_in_shanghai_once_the_member_was_told(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    notice = await announced(loyalty)
    await deliver(loyalty, notice["id"])

    loyalty.clock.at = DAY - MOMENT  # 2027-11-30 in Shanghai, and in UTC
    assert await run(loyalty, *LOT_JOBS) == 0
    loyalty.clock.at = DAY  # the day is over in Shanghai; in UTC it has eight hours to go
    assert await run(loyalty, *LOT_JOBS) == 1
    assert await run(loyalty, *LOT_JOBS) == 0

    assert await points_of(loyalty, member_id) == NOTHING
    assert await schedule_of(loyalty, member_id) == []
    [entry] = await loyalty.rows("select * from point_entries where kind = 'expired'")
    assert (entry.points, entry.occurred_at) == (100, DAY)
    assert (entry.cause_kind, entry.cause_id) == ("expiry_notice", notice["id"])
    [lot] = await lots_of(loyalty, member_id, state="all")
    assert (lot["state"], lot["remaining"]) == ("closed", 0)
    assert await lots_of(loyalty, member_id) == []
    event = await loyalty.scalar("select data from outbox where type = 'points.expired.v1'")
    assert event == {
        "member_id": member_id, "lot_id": lot["id"], "points": 100, "notice_id": notice["id"],
    }  # fmt: skip
    assert await nothing_lapsed_unheard(loyalty) == 1
    assert await extensions(loyalty) == []
    assert await audit(loyalty) == 3


async def test_without_any_channel_no_point_ever_lapses(loyalty: ServiceUnderTest) -> None:
    member_id = await with_points(loyalty, points=100)
    for day in range(0, 800, 10):
        loyalty.clock.at = shanghai(2027, 10, 1) + timedelta(days=day)
        await run(loyalty, *LOT_JOBS)
        if day % 100 == 0:
            assert await schedule_of(loyalty, member_id)
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 100}
    assert await nothing_lapsed_unheard(loyalty) == 0
    found = await extensions(loyalty)
    assert len(found) == len(await notices(loyalty, state="closed")) > 20
    assert {one["reason"] for one in found} == {"not_delivered"}
    assert await audit(loyalty) == 2


async def test_points_that_were_never_announced_are_extended_and_it_is_reported(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    loyalty.clock.at = DAY
    assert await run(loyalty, EXPIRE) == 1
    assert await run(loyalty, EXPIRE) == 0

    assert await schedule_of(loyalty, member_id) == [(100, "2027-12-31T16:00:00Z")]
    [extension] = await extensions(loyalty, reason="never_announced", member_id=member_id)
    [lot] = await lots_of(loyalty, member_id)
    assert extension == {
        "id": extension["id"],
        "member_id": member_id,
        "lot_id": lot["id"],
        "points": 100,
        "reason": "never_announced",
        "note": None,
        "previous_expires_at": "2027-11-30T16:00:00Z",
        "expires_at": "2027-12-31T16:00:00Z",
        "occurred_at": "2027-11-30T16:00:00Z",
        "recorded_at": "2027-11-30T16:00:00Z",
        "actor": "job:expire_due_lots",
    }
    event = await loyalty.scalar("select data from outbox where type = 'points.expiry_extended.v1'")
    assert event["extension_id"] == extension["id"]
    assert event["reason"] == "never_announced"
    assert await extensions(loyalty, reason="not_delivered") == []
    assert await audit(loyalty) == 2


async def test_an_extension_leaves_time_for_a_new_notice_after_which_the_points_lapse(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    loyalty.clock.at = DAY
    await run(loyalty, EXPIRE)
    notice = await announced(loyalty, at=LATER - timedelta(days=30))
    assert (notice["expires_at"], notice["points"]) == ("2027-12-31T16:00:00Z", 100)
    await deliver(loyalty, notice["id"])
    loyalty.clock.at = LATER
    await run(loyalty, EXPIRE)
    assert await points_of(loyalty, member_id) == NOTHING
    assert await nothing_lapsed_unheard(loyalty) == 1


@pytest.mark.parametrize(
    ("spare", "reason"),
    [(timedelta(0), None), (-MOMENT, "delivered_too_late")],
    ids=["14 days before", "a moment later"],
)
async def test_a_notice_counts_when_it_was_delivered_14_days_before(
    loyalty: ServiceUnderTest, spare: timedelta, reason: str | None
) -> None:
    member_id = await with_points(loyalty, points=100)
    notice = await announced(loyalty)
    loyalty.clock.at = DAY - timedelta(days=1)
    at = DAY - timedelta(days=14) - spare
    reply = await loyalty.call(
        "confirm_notice_delivery",
        notice_id=notice["id"],
        json={"channel": "sms", "delivered_at": at.isoformat()},
    )
    assert reply.json()["in_time"] is (reason is None)
    loyalty.clock.at = DAY
    await run(loyalty, EXPIRE)
    assert [one["reason"] for one in await extensions(loyalty)] == ([reason] if reason else [])
    left = 0 if reason is None else 100
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": left}


async def test_a_notice_that_only_failed_lets_nothing_lapse(loyalty: ServiceUnderTest) -> None:
    member_id = await with_points(loyalty, points=100)
    notice = await announced(loyalty)
    failed = await loyalty.call(
        "report_notice_failure",
        notice_id=notice["id"],
        json={"channel": "wechat", "reason": "user_refused"},
    )
    assert failed.status_code == 200
    loyalty.clock.at = DAY
    await run(loyalty, EXPIRE)
    assert [one["reason"] for one in await extensions(loyalty)] == ["not_delivered"]
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 100}


async def test_what_was_spent_after_the_notice_is_covered_and_the_rest_lapses(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    await deliver(loyalty, (await announced(loyalty))["id"])
    assert (await redeem(loyalty, member_id, points=60)).status_code == 201
    loyalty.clock.at = DAY
    await run(loyalty, *LOT_JOBS)
    assert await loyalty.scalar("select points from point_entries where kind = 'expired'") == 40
    assert await nothing_lapsed_unheard(loyalty) == 1
    assert await audit(loyalty) == 4


async def reserve(loyalty: ServiceUnderTest, member_id: str, *, points: int) -> str:
    reply = await loyalty.call(
        "reserve_checkout",
        json={
            "member_id": member_id,
            "items": [{"sku": "SERUM-30ML", "quantity": 1, "amount_fen": 100_000}],
            "points": points,
        },
    )
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


async def test_points_held_when_the_notice_was_made_are_not_covered_by_it(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=500)
    loyalty.clock.at = DAY - timedelta(days=30)
    reservation = await reserve(loyalty, member_id, points=200)
    await deliver(loyalty, (await announced(loyalty))["id"])
    loyalty.clock.at = DAY - timedelta(days=3)
    await loyalty.call("release_reservation", reservation_id=reservation)
    assert await run(loyalty, ANNOUNCE) == 0, "it could not be delivered in time any more"
    loyalty.clock.at = DAY
    await run(loyalty, *LOT_JOBS)
    assert [one["reason"] for one in await extensions(loyalty)] == ["points_added_after_notice"]
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 500}


async def test_points_that_come_back_after_the_rest_lapsed_do_not_lapse_under_the_same_notice(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=500)
    loyalty.clock.at = DAY - timedelta(days=30)
    reservation = await reserve(loyalty, member_id, points=200)
    await deliver(loyalty, (await announced(loyalty))["id"])  # of the other 300
    loyalty.clock.at = DAY
    await run(loyalty, EXPIRE)
    assert await points_of(loyalty, member_id) == {**NOTHING, "held": 200}
    await loyalty.call("release_reservation", reservation_id=reservation)
    await run(loyalty, EXPIRE)
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 200}
    assert [one["points"] for one in await extensions(loyalty)] == [200]
    assert await nothing_lapsed_unheard(loyalty) == 1
    await audit(loyalty)


async def test_points_that_lapse_the_same_day_share_a_notice_even_while_pending(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    loyalty.clock.at = shanghai(2026, 11, 23, 12)
    await complete(loyalty, await place(loyalty, member_id, paid_fen=5_000))
    notice = await announced(loyalty)  # the second lot is due, but nobody has released it yet
    assert notice["points"] == 150
    assert await run(loyalty, *LOT_JOBS) == 1
    assert len(await notices(loyalty)) == 1


async def test_points_added_in_time_get_a_further_notice_of_all_that_lapses_that_day(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=500)
    loyalty.clock.at = DAY - timedelta(days=30)
    reservation = await reserve(loyalty, member_id, points=200)
    await deliver(loyalty, (await announced(loyalty))["id"])
    loyalty.clock.at = DAY - timedelta(days=20)
    await loyalty.call("release_reservation", reservation_id=reservation)
    assert await run(loyalty, ANNOUNCE) == 1
    further, first = await notices(loyalty)
    assert (first["points"], further["points"]) == (300, 500)
    await deliver(loyalty, further["id"])
    loyalty.clock.at = DAY
    await run(loyalty, EXPIRE)
    assert await points_of(loyalty, member_id) == NOTHING
    assert await nothing_lapsed_unheard(loyalty) == 1


async def test_the_job_releases_and_repays_before_anything_lapses(
    loyalty: ServiceUnderTest,
) -> None:
    """Points that repay a debt lapse neither: they are the programme's already."""
    member_id = await with_points(loyalty, points=100)
    order_id = await loyalty.scalar("select order_id from orders")
    await redeem(loyalty, member_id, points=100)
    await refund(loyalty, order_id, amount_fen=10_000)
    assert (await points_of(loyalty, member_id))["debt"] == 100
    loyalty.clock.at = shanghai(2027, 1, 4, 12)
    await complete(loyalty, await place(loyalty, member_id, paid_fen=15_000))
    loyalty.clock.at = shanghai(2028, 2, 1)
    assert await run(loyalty, EXPIRE) == 1
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 50}
    assert [one["points"] for one in await extensions(loyalty)] == [50]
    kinds = [row.kind for row in await loyalty.rows("select kind from point_entries order by seq")]
    assert kinds[-2:] == ["released", "repaid"]
    await audit(loyalty)


async def test_the_job_passes_by_a_member_whom_somebody_else_is_at(
    loyalty: ServiceUnderTest,
) -> None:
    await with_points(loyalty, points=100)
    loyalty.clock.at = DAY
    async with loyalty.database.begin(actor="test") as other:
        locked = await other.session.connection()
        await locked.exec_driver_sql("select * from accounts for update")
        assert await run(loyalty, EXPIRE) == 0
    assert await run(loyalty, EXPIRE) == 1


async def test_replicas_that_expire_at_once_expire_once(loyalty: ServiceUnderTest) -> None:
    for _ in range(3):
        await with_points(loyalty, points=100)
    loyalty.clock.at = DAY - timedelta(days=30)
    assert await run(loyalty, ANNOUNCE) == 3
    for notice in await notices(loyalty):
        await deliver(loyalty, notice["id"])
    loyalty.clock.at = DAY
    await asyncio.gather(*(run(loyalty, EXPIRE) for _ in range(4)))
    await run(loyalty, EXPIRE)
    assert await nothing_lapsed_unheard(loyalty) == 3
    assert (await types_of_events(loyalty)).count("points.expired.v1") == 3
    await audit(loyalty)


async def test_replicas_that_announce_at_once_announce_once(loyalty: ServiceUnderTest) -> None:
    await with_points(loyalty, points=100)
    loyalty.clock.at = DAY - timedelta(days=30)
    await asyncio.gather(*(run(loyalty, ANNOUNCE) for _ in range(4)))
    assert len(await notices(loyalty)) == 1


async def test_spending_beside_the_job_loses_no_point(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    one, other = await replicas_of(loyalty, start, count=2)
    member_id = await with_points(loyalty, points=100)
    await deliver(loyalty, (await announced(loyalty))["id"])
    loyalty.clock.at = DAY
    replies = await race(
        loyalty,
        redeem(one, member_id, points=60),
        redeem(other, member_id, points=60),
        at=ACCOUNTS,
        meeting=2,
    )
    await run(loyalty, EXPIRE)
    assert sorted(reply.status_code for reply in replies) == [201, 409]
    assert await points_of(loyalty, member_id) == NOTHING
    assert await loyalty.scalar("select points from point_entries where kind = 'expired'") == 40
    await audit(loyalty)


async def test_points_of_erased_members_are_left_alone(loyalty: ServiceUnderTest) -> None:
    await with_points(loyalty, points=100)
    async with loyalty.database.begin(actor="test") as transaction:
        connection = await transaction.session.connection()
        await connection.exec_driver_sql("update members set state = 'erased'")
    before = await everything(loyalty)
    loyalty.clock.at = DAY - timedelta(days=30)
    assert await run(loyalty, ANNOUNCE, EXPIRE) == 0
    loyalty.clock.at = DAY
    assert await run(loyalty, ANNOUNCE, EXPIRE) == 0
    assert await everything(loyalty) == before


async def test_the_wallet_goes_on_showing_what_expires(loyalty: ServiceUnderTest) -> None:
    member_id = await with_points(loyalty, points=100)
    assert (await wallet_of(loyalty, member_id))["points"]["expiring"] == [
        {"points": 100, "expires_at": rfc3339(DAY).replace(".000", "")}
    ]


async def test_each_lot_of_a_notice_is_used_up_by_itself(loyalty: ServiceUnderTest) -> None:
    member_id = await with_points(loyalty, points=100)
    loyalty.clock.at = shanghai(2026, 11, 23, 12)
    await complete(loyalty, await place(loyalty, member_id, paid_fen=5_000))
    await deliver(loyalty, (await announced(loyalty))["id"])  # of both lots
    loyalty.clock.at = DAY - timedelta(minutes=5)
    redemption_id = await held(loyalty, member_id, 30)
    loyalty.clock.at = DAY
    await run(loyalty, EXPIRE)
    assert await points_of(loyalty, member_id) == {**NOTHING, "held": 30}
    await release(loyalty, redemption_id)
    await run(loyalty, EXPIRE)
    assert await points_of(loyalty, member_id) == NOTHING
    assert await extensions(loyalty) == [], "the member was told of these 30 as well"
    await audit(loyalty)
