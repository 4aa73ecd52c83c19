"""Lots whose points are away, held or spent, when something happens to lots: they are not left out.

Points that come back are good for as long as if they had stayed.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from services.loyalty.jobs import JOBS
from shared.jobs import run_due
from shared.kernel.clock import rfc3339
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.lots_world import (
    ANNOUNCE,
    DAY,
    EXPIRE,
    LOT_JOBS,
    deliver,
    extensions,
    lots_of,
    notices,
    publish,
    run,
    schedule_of,
    shanghai,
    with_points,
)
from tests.integration.loyalty.moves import cancel, capture, give, held, release
from tests.integration.loyalty.people import order_of, place, points_of, redeem, refund
from tests.support.service import ServiceUnderTest, Starter

#: Points of 2026-11-30 under a policy of three months are good through February.
MARCH = shanghai(2027, 3, 1)
#: And from an activity in February through May.
RENEWED = "2027-05-31T16:00:00Z"
JOBS_BY_NAME = {job.name: job for job in JOBS}


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


@pytest.fixture
async def active(loyalty: ServiceUnderTest) -> ServiceUnderTest:
    await publish(loyalty, policy="activity", months=3)
    return loyalty


async def reserve(loyalty: ServiceUnderTest, member_id: str, points: int) -> str:
    item = {"sku": "SERUM-30ML", "quantity": 1, "amount_fen": 100_000}
    given = {"member_id": member_id, "items": [item], "points": points}
    reply = await loyalty.call("reserve_checkout", json=given)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


async def buy(loyalty: ServiceUnderTest, member_id: str) -> None:
    """An order is paid now; it earns nothing."""
    await place(loyalty, member_id, paid_fen=0, paid_at=rfc3339(loyalty.clock.now()), items=[])


async def extend(loyalty: ServiceUnderTest, member_id: str, **given: Any) -> Any:
    body = {"expires_at": "2028-03-01T00:00:00+08:00", "reason": "门店装修补偿", **given}
    return await loyalty.call("extend_lots", member_id=member_id, json=body)


async def by_hold(loyalty: ServiceUnderTest, member_id: str) -> Callable[[], Awaitable[Any]]:
    redemption_id = await held(loyalty, member_id, 1_000)
    return lambda: release(loyalty, redemption_id)


async def by_stale_hold(loyalty: ServiceUnderTest, member_id: str) -> Callable[[], Awaitable[Any]]:
    await held(loyalty, member_id, 1_000)
    loyalty.clock.advance(timedelta(minutes=15))
    return lambda: run_due(JOBS_BY_NAME["release_stale_holds"], database=loyalty.database)


async def by_checkout(loyalty: ServiceUnderTest, member_id: str) -> Callable[[], Awaitable[Any]]:
    reservation_id = await reserve(loyalty, member_id, 1_000)
    return lambda: loyalty.call("release_reservation", reservation_id=reservation_id)


async def by_stale_checkout(
    loyalty: ServiceUnderTest, member_id: str
) -> Callable[[], Awaitable[Any]]:
    await reserve(loyalty, member_id, 1_000)
    loyalty.clock.advance(timedelta(minutes=15))
    return lambda: run_due(JOBS_BY_NAME["release_stale_reservations"], database=loyalty.database)


WAYS = [by_hold, by_stale_hold, by_checkout, by_stale_checkout]


@pytest.mark.parametrize("away", WAYS)
async def test_a_lot_wholly_held_while_an_order_is_paid_is_renewed_when_it_is_back(
    active: ServiceUnderTest, away: Callable[..., Any]
) -> None:
    member_id = await with_points(active, points=1_000)
    active.clock.at = MARCH - timedelta(days=30)
    await run(active, ANNOUNCE)
    await deliver(active, (await notices(active))[0]["id"])
    active.clock.at = shanghai(2027, 2, 25, 12)
    back = await away(active, member_id)
    await buy(active, member_id)
    active.clock.advance(timedelta(days=1))
    await back()
    assert await schedule_of(active, member_id) == [(1_000, RENEWED)]
    active.clock.at = MARCH
    await run(active, *LOT_JOBS)
    assert (await points_of(active, member_id))["available"] == 1_000
    assert await extensions(active) == []
    await audit(active)


async def test_a_lot_wholly_held_is_renewed_by_points_spent_meanwhile(
    active: ServiceUnderTest,
) -> None:
    member_id = await with_points(active, points=100)
    active.clock.at = shanghai(2027, 2, 1, 12)
    first, second = [
        await held(active, member_id, 50, reference=name, minutes=7_000) for name in ("G-1", "G-2")
    ]
    assert (await capture(active, second, 10)).status_code == 200
    await release(active, first)
    assert await schedule_of(active, member_id) == [(90, RENEWED)]
    third = await held(active, member_id, 90, reference="G-3", minutes=7_000)
    active.clock.at = shanghai(2027, 3, 1, 12)
    await give(active, member_id, 5)
    await redeem(active, member_id, points=5)
    await release(active, third)
    assert await schedule_of(active, member_id) == [(90, "2027-06-30T16:00:00Z")]
    await audit(active)


async def test_without_activity_meanwhile_a_released_lot_keeps_its_day(
    active: ServiceUnderTest,
) -> None:
    member_id = await with_points(active, points=100)
    other = await with_points(active, points=100)
    active.clock.at = shanghai(2027, 2, 1, 12)
    await buy(active, member_id)
    active.clock.at = shanghai(2027, 3, 2, 12)
    redemption_id = await held(active, member_id, 100)
    await buy(active, other)
    await release(active, redemption_id)
    assert await schedule_of(active, member_id) == [(100, RENEWED)]


async def test_an_activity_after_the_day_of_a_held_lot_comes_after_its_extension(
    active: ServiceUnderTest,
) -> None:
    """As with a lot that stayed: extended on its day, since nobody was told, then renewed."""
    members = [await with_points(active, points=100) for _ in range(2)]
    active.clock.at = MARCH - timedelta(days=1)
    holds = [
        await held(active, member_id, points, minutes=7_000)
        for member_id, points in zip(members, (100, 99), strict=True)
    ]
    active.clock.at = MARCH + timedelta(hours=1)
    for member_id in members:
        await buy(active, member_id)
    for redemption_id in holds:
        await release(active, redemption_id)
    for member_id in members:
        assert await schedule_of(active, member_id) == [(100, "2027-06-30T16:00:00Z")]
    found = await extensions(active)
    assert [one["reason"] for one in found] == ["never_announced"] * 2
    assert await run(active, *LOT_JOBS) == 0
    await audit(active)


async def test_a_cancelled_redemption_gives_its_lots_back_as_if_their_points_had_stayed(
    active: ServiceUnderTest,
) -> None:
    member_id = await with_points(active, points=100)
    active.clock.at = shanghai(2027, 2, 1, 12)
    spent = (await redeem(active, member_id, points=100)).json()["id"]
    active.clock.advance(timedelta(days=1))
    assert (await cancel(active, spent)).status_code == 200
    assert await schedule_of(active, member_id) == [(100, RENEWED)]
    await audit(active)


@pytest.mark.parametrize("refund_first", [False, True])
async def test_a_refund_gives_points_back_as_if_they_had_stayed_whichever_came_first(
    active: ServiceUnderTest, *, refund_first: bool
) -> None:
    member_id = await with_points(active, points=1_000)
    active.clock.at = shanghai(2027, 2, 25, 12)
    now = rfc3339(active.clock.now())
    reservation_id = await reserve(active, member_id, 1_000)
    facts = order_of(member_id, paid_fen=100, paid_at=now, reservation_id=reservation_id)
    if refund_first:
        given = {"refund_id": "RF-early", "amount_fen": 100, "refunded_at": now}
        reply = await active.call("refund_order", order_id=facts["order_id"], json=given)
        assert reply.json()["status"] == "waiting"
    reply = await active.call("record_order", json=facts)
    assert reply.status_code == 201, reply.text
    if not refund_first:
        await refund(active, facts["order_id"], amount_fen=100)
    assert await schedule_of(active, member_id) == [(1_000, RENEWED)]
    await audit(active)


@pytest.mark.parametrize("away", [by_hold, by_checkout])
@pytest.mark.parametrize("by_name", [False, True])
async def test_extending_lots_extends_what_is_held_of_them(
    loyalty: ServiceUnderTest, away: Callable[..., Any], *, by_name: bool
) -> None:
    member_id = await with_points(loyalty, points=1_000)
    [lot] = await lots_of(loyalty, member_id)
    loyalty.clock.at = DAY - timedelta(days=30)
    await run(loyalty, ANNOUNCE)
    await deliver(loyalty, (await notices(loyalty))[0]["id"])
    loyalty.clock.at = DAY - timedelta(minutes=10)
    back = await away(loyalty, member_id)
    reply = await extend(loyalty, member_id, **({"lot_ids": [lot["id"]]} if by_name else {}))
    assert reply.status_code == 201, reply.text
    [extension] = reply.json()["extensions"]
    assert (extension["lot_id"], extension["points"]) == (lot["id"], 1_000)
    assert extension["previous_expires_at"] == "2027-11-30T16:00:00Z"
    assert await extensions(loyalty) == [extension]
    event = await loyalty.scalar("select data from outbox where type = 'points.expiry_extended.v1'")
    assert (event["lot_id"], event["points"]) == (lot["id"], 1_000)
    await back()
    assert await schedule_of(loyalty, member_id) == [(1_000, "2028-02-29T16:00:00Z")]
    loyalty.clock.at = DAY
    await run(loyalty, EXPIRE)
    assert (await points_of(loyalty, member_id))["available"] == 1_000
    await audit(loyalty)


async def test_extending_all_lots_counts_what_is_free_and_what_is_held_but_not_what_is_spent(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    [spent] = await lots_of(loyalty, member_id)
    await redeem(loyalty, member_id, points=100)
    for points in (60, 40):
        await give(loyalty, member_id, points)
    usable = {one["id"]: one["remaining"] for one in await lots_of(loyalty, member_id)}
    await held(loyalty, member_id, 50)
    reply = await extend(loyalty, member_id)
    told = {one["lot_id"]: one["points"] for one in reply.json()["extensions"]}
    assert told == usable
    again = await extend(loyalty, member_id)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_extend")
    named = await extend(loyalty, member_id, lot_ids=[spent["id"]])
    assert (named.status_code, named.json()["code"]) == (409, "lot_not_open")
    await audit(loyalty)
