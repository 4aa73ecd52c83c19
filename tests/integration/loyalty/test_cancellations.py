"""Cancelled redemptions: exactly the lots that paid get their points back, once."""

from datetime import timedelta
from functools import partial

import pytest

from shared.kernel.clock import rfc3339
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.moves import (
    NOTHING,
    cancel,
    capture,
    conserved,
    give,
    held,
    insist,
    lots_of,
    publish,
)
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    place,
    points_of,
    redeem,
    refund,
    types_of_events,
)
from tests.integration.loyalty.racing import ACCOUNTS, race
from tests.support.service import ServiceUnderTest, Starter


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def member_with(loyalty: ServiceUnderTest, *lots: int) -> str:
    member_id = await enrol(loyalty)
    for points in lots:
        await give(loyalty, member_id, points)
        loyalty.clock.advance(timedelta(days=31))
    return member_id


async def spent(loyalty: ServiceUnderTest, member_id: str, points: int) -> str:
    reply = await redeem(loyalty, member_id, points=points)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


async def end_well(loyalty: ServiceUnderTest) -> None:
    await audit(loyalty)
    await conserved(loyalty)


async def test_a_cancelled_redemption_leaves_the_lots_as_they_were(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 100, 200, 300)
    lots = await lots_of(loyalty, member_id)
    redemption_id = await spent(loyalty, member_id, 450)
    loyalty.clock.advance(timedelta(days=3))

    reply = await cancel(loyalty, redemption_id, reason="顾客改主意")

    assert reply.status_code == 200
    made = reply.json()
    assert (made["state"], made["points"], made["returned_points"]) == ("cancelled", 450, 450)
    assert made["closed_at"] == rfc3339(loyalty.clock.now()).replace(".000", "")
    assert await lots_of(loyalty, member_id) == lots
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 600}
    assert (await types_of_events(loyalty))[-1] == "points.restored.v1"
    lines = (await loyalty.call("list_point_entries", member_id=member_id)).json()["data"]
    assert (lines[0]["kind"], lines[0]["points"]) == ("restored", 450)
    assert lines[0]["reason"] == "顾客改主意"
    await end_well(loyalty)


async def test_cancelling_twice_gives_back_once_and_answers_alike(
    loyalty: ServiceUnderTest,
) -> None:
    redemption_id = await spent(loyalty, await member_with(loyalty, 100), 100)
    first = await cancel(loyalty, redemption_id)
    before = await everything(loyalty)
    loyalty.clock.advance(timedelta(days=1))
    second = await cancel(loyalty, redemption_id, reason="又来一次")
    assert (second.status_code, second.content) == (200, first.content)
    assert await everything(loyalty) == before


async def test_100_simultaneous_cancellations_give_back_once(loyalty: ServiceUnderTest) -> None:
    member_id = await member_with(loyalty, 100)
    redemption_id = await spent(loyalty, member_id, 70)
    calls = [insist(partial(cancel, loyalty, redemption_id)) for _ in range(100)]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=10)
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.content for reply in replies}) == 1
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 100}
    await end_well(loyalty)


async def test_what_is_only_held_is_released_and_not_cancelled(loyalty: ServiceUnderTest) -> None:
    redemption_id = await held(loyalty, await member_with(loyalty, 100), 100)
    before = await everything(loyalty)
    reply = await cancel(loyalty, redemption_id)
    assert (reply.status_code, reply.json()["code"]) == (409, "redemption_held")
    assert await everything(loyalty) == before
    loyalty.clock.advance(timedelta(minutes=1))
    assert (await loyalty.call("release_hold", redemption_id=redemption_id)).status_code == 200
    assert (await cancel(loyalty, redemption_id)).json()["code"] == "redemption_closed"


async def test_a_hold_captured_in_part_gives_back_that_part_when_cancelled(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 100, 200)
    lots = await lots_of(loyalty, member_id)
    redemption_id = await held(loyalty, member_id, 280)
    await capture(loyalty, redemption_id, 130)
    reply = await cancel(loyalty, redemption_id)
    assert reply.json()["returned_points"] == 280
    assert await lots_of(loyalty, member_id) == lots
    assert (await capture(loyalty, redemption_id, 130)).json()["code"] == "redemption_closed"
    await end_well(loyalty)


async def test_points_given_back_repay_debt_first(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=7))
    redemption_id = await spent(loyalty, member_id, 80)
    await refund(loyalty, order_id, amount_fen=10_000)
    assert await points_of(loyalty, member_id) == {**NOTHING, "debt": 80}
    await cancel(loyalty, redemption_id)
    assert await points_of(loyalty, member_id) == NOTHING
    await end_well(loyalty)


async def test_points_come_back_past_their_day_and_are_not_lost_in_silence(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 100)
    lots = await lots_of(loyalty, member_id)
    redemption_id = await spent(loyalty, member_id, 100)
    loyalty.clock.advance(timedelta(days=800))
    await cancel(loyalty, redemption_id)
    assert await lots_of(loyalty, member_id) == lots
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 100}


async def test_the_programme_can_give_points_that_come_back_some_days_at_least(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 100, 100)
    await publish(loyalty, redeem={"restore_grace_days": 30})
    first, second = await lots_of(loyalty, member_id)
    redemption_id = await spent(loyalty, member_id, 150)
    loyalty.clock.at = first[3] - timedelta(days=5)
    await cancel(loyalty, redemption_id)
    grace = loyalty.clock.now() + timedelta(days=30)
    assert await lots_of(loyalty, member_id) == [(*first[:3], grace), second]
    await end_well(loyalty)


async def test_there_must_be_such_a_redemption(loyalty: ServiceUnderTest) -> None:
    reply = await cancel(loyalty, "rdm_" + "0" * 26)
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
    assert (await cancel(loyalty, "rdm_" + "0" * 26, reason=" ")).status_code == 422
