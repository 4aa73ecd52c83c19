"""What was held, spent or reported under a member who was then merged into another."""

import asyncio
from datetime import timedelta

import pytest

from services.loyalty.verify.__main__ import verify
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.members_world import merge, part, reserve
from tests.integration.loyalty.moves import NOTHING, cancel, capture, give, held, hold, release
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    order_of,
    place,
    points_of,
    refund,
)
from tests.support.service import ServiceUnderTest, Starter


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_a_hold_of_the_source_is_captured_in_part_and_cancelled_at_the_target(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    await give(loyalty, source, 100)
    redemption_id = await held(loyalty, source, 80)
    await merge(loyalty, target, source)
    assert await points_of(loyalty, target) == {**NOTHING, "available": 20, "held": 80}

    captured = await capture(loyalty, redemption_id, 50)
    assert captured.status_code == 200, captured.text
    assert await points_of(loyalty, target) == {**NOTHING, "available": 50}

    assert (await cancel(loyalty, redemption_id)).status_code == 200
    assert await points_of(loyalty, target) == {**NOTHING, "available": 100}
    await audit(loyalty)


async def test_a_hold_of_the_source_is_asked_for_again_and_released_at_the_target(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    await give(loyalty, source, 100)
    redemption_id = await held(loyalty, source, 80)
    await merge(loyalty, target, source)

    again = await hold(loyalty, target, 80)
    assert (again.status_code, again.json()["id"]) == (200, redemption_id)
    assert (await release(loyalty, redemption_id)).status_code == 200
    assert await points_of(loyalty, target) == {**NOTHING, "available": 100}
    await audit(loyalty)


async def test_two_who_hold_points_for_the_same_are_merged_once_one_hold_has_ended(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    for who in (source, target):
        await give(loyalty, who, 100)
        redemption_id = await held(loyalty, who, 80)
    before = await everything(loyalty)

    given = {"source_member_id": source, "reason": "同一手机号"}
    refused = await loyalty.call("merge_members", member_id=target, json=given)
    assert (refused.status_code, refused.json()["code"]) == (409, "merge_holds_conflict")
    assert await everything(loyalty) == before

    await release(loyalty, redemption_id)
    await merge(loyalty, target, source)
    assert await points_of(loyalty, target) == {**NOTHING, "available": 120, "held": 80}
    await audit(loyalty)


async def test_an_order_told_again_after_its_member_was_merged_is_on_record(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    order = order_of(source, paid_fen=9_900)
    assert (await loyalty.call("record_order", json=order)).status_code == 201
    await merge(loyalty, target, source)
    before = await everything(loyalty)

    again = await loyalty.call("record_order", json=order)
    assert again.status_code == 200, again.text
    assert await everything(loyalty) == before


async def test_what_came_back_and_repaid_debt_comes_back_once(loyalty: ServiceUnderTest) -> None:
    """Each lot gets back what it paid, less what it has got back, wherever that went."""
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=6_000)
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=40))
    await give(loyalty, member_id, 40)  # lapses later than the 60 of the order
    redemption_id = await held(loyalty, member_id, 100)
    await refund(loyalty, order_id, amount_fen=3_000)
    assert await points_of(loyalty, member_id) == {**NOTHING, "held": 100, "debt": 30}

    await capture(loyalty, redemption_id, 50)  # of the 50 that come back, 30 repay the debt
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 20}
    await cancel(loyalty, redemption_id)

    lots = await loyalty.rows("select points, remaining from point_lots order by points")
    assert [(row.points, row.remaining) for row in lots] == [(40, 10), (60, 60)]
    await audit(loyalty)


async def test_a_merge_that_brings_closed_lots_leaves_a_ledger_that_verifies(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    await give(loyalty, source, 100)
    await capture(loyalty, await held(loyalty, source, 100))
    await merge(loyalty, target, source)

    url = loyalty.database.engine.url.set(drivername="postgresql")
    found = await asyncio.to_thread(verify, database=url.render_as_string(hide_password=False))
    assert (found.faults, found.findings) == (0, ())


async def test_points_spent_out_of_lots_that_have_gone_back_return_wherever_their_member_is(
    loyalty: ServiceUnderTest,
) -> None:
    source, target, third = await enrol(loyalty), await enrol(loyalty), await enrol(loyalty)
    await give(loyalty, source, 1_000)
    made = await merge(loyalty, target, source)
    redemption_id = await held(loyalty, target, 300)
    reservation = await reserve(loyalty, target, points=200)
    order_id = await place(loyalty, target, paid_fen=1_000, reservation_id=reservation)
    await part(loyalty, made["id"])
    assert await points_of(loyalty, source) == {**NOTHING, "available": 500}

    onward = await merge(loyalty, third, target)
    assert (await release(loyalty, redemption_id)).status_code == 200
    await refund(loyalty, order_id, amount_fen=1_000)
    assert await points_of(loyalty, third) == {**NOTHING, "available": 500}

    await part(loyalty, onward["id"])
    assert await points_of(loyalty, third) == {**NOTHING, "available": 500}
    await merge(loyalty, source, third)
    assert await points_of(loyalty, source) == {**NOTHING, "available": 1_000}
    await audit(loyalty)
