"""Checkout: quoted, reserved, captured or released, on real PostgreSQL."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.loyalty.jobs import JOBS
from shared.jobs import run_due
from shared.kernel.clock import rfc3339
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.moves import publish
from tests.integration.loyalty.people import enrol, points_of, refund, spendable
from tests.integration.loyalty.vouchers_world import hear, reversal_due, reward_due, template
from tests.support.service import ServiceUnderTest, Starter

RELEASE_STALE = next(job for job in JOBS if job.name == "release_stale_reservations")
BASKET_FEN = 25_900


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_a_quote_says_what_counts_what_is_missing_and_what_is_best(
    loyalty: ServiceUnderTest,
) -> None:
    member = await enrol(loyalty)
    small = await give(loyalty, member, amount_fen=2_000, threshold_fen=9_900)
    large = await give(loyalty, member, amount_fen=5_000, threshold_fen=19_900)
    far = await give(loyalty, member, amount_fen=9_000, threshold_fen=30_000)
    found = (await quote(loyalty, member, voucher_ids=[large])).json()
    assert (found["discount_fen"], found["payable_fen"]) == (5_000, 20_900)
    verdicts = {one["id"]: one for one in found["vouchers"]}
    assert verdicts[small]["usable"]
    assert verdicts[far]["gap_fen"] == 4_100
    assert verdicts[far]["reasons"] == [
        {"code": "voucher_below_threshold", "detail": "未达使用门槛，差 41 元"}
    ]
    assert found["best"] == {"voucher_ids": [large], "discount_fen": 5_000}


async def test_points_pay_at_most_half_and_not_less_than_the_least(
    loyalty: ServiceUnderTest,
) -> None:
    member = await spendable(loyalty, points=20_000)
    found = (await quote(loyalty, member)).json()
    assert found["points"]["max_usable"] == BASKET_FEN // 2
    assert (await quote(loyalty, member, points=99)).json()["code"] == "points_not_usable"
    assert (await quote(loyalty, member, points=12_951)).status_code == 409
    priced = (await quote(loyalty, member, points=12_950)).json()
    assert priced["payable_fen"] == BASKET_FEN - 12_950


async def test_points_that_are_not_worth_a_fen_are_not_taken(loyalty: ServiceUnderTest) -> None:
    await publish(loyalty, redeem={"points_per_yuan": 1_000, "least_points": 1})
    member = await spendable(loyalty, points=1_000)
    for points in (1, 9):
        for reply in (
            await quote(loyalty, member, points=points),
            await reserve(loyalty, member, points=points),
        ):
            assert (reply.status_code, reply.json()["code"]) == (409, "points_not_usable")
            assert "10" in reply.json()["detail"]
    assert await points_of(loyalty, member) == balances(available=1_000)
    held = await reserved(loyalty, member, points=10)
    assert held["points"] == {"used": 10, "value_fen": 1}
    poor = await spendable(loyalty, points=9)
    assert (await quote(loyalty, poor)).json()["points"]["max_usable"] == 0


async def test_a_voucher_is_used_however_many_lapse_before_it(loyalty: ServiceUnderTest) -> None:
    member = await enrol(loyalty)
    wanted = await give(loyalty, member, amount_fen=5_000, threshold_fen=0, validity_days=90)
    await give(loyalty, member, amount_fen=1_000, threshold_fen=0)
    await loyalty.change(
        """
        insert into vouchers
        select (jsonb_populate_record(one, jsonb_build_object(
          'id', 'vch_' || lpad(n::text, 26, '0'), 'code', 'C' || n, 'source_id', 'S' || n))).*
        from vouchers as one, generate_series(1, 205) as n where one.id <> :wanted
        """,
        wanted=wanted,
    )
    assert len((await quote(loyalty, member)).json()["vouchers"]) == 200
    found = (await quote(loyalty, member, voucher_ids=[wanted])).json()
    assert (found["discount_fen"], found["best"]["voucher_ids"]) == (5_000, [wanted])
    held = await reserved(loyalty, member, voucher_ids=[wanted])
    assert await state_of(loyalty, wanted) == "held"
    await order(loyalty, member, reservation_id=held["id"])
    assert await state_of(loyalty, wanted) == "redeemed"


async def test_an_order_uses_up_what_was_reserved_for_it(loyalty: ServiceUnderTest) -> None:
    member = await spendable(loyalty, points=1_000)
    voucher = await give(loyalty, member, amount_fen=5_000, threshold_fen=19_900)
    held = await reserved(loyalty, member, voucher_ids=[voucher], points=1_000)
    assert held["payable_fen"] == BASKET_FEN - 5_000 - 1_000
    assert await points_of(loyalty, member) == balances(held=1_000)
    assert await state_of(loyalty, voucher) == "held"

    await order(loyalty, member, reservation_id=held["id"], paid_fen=held["payable_fen"])
    # Silver since the order that earned the 1,000 points: 199 yuan earn 1.2 points each.
    assert await points_of(loyalty, member) == balances(pending=238)
    assert await state_of(loyalty, voucher) == "redeemed"
    shown = await loyalty.call("show_reservation", reservation_id=held["id"])
    assert (shown.json()["state"], shown.json()["order_id"]) == ("captured", "SO-1")
    await audit(loyalty)


async def test_a_released_reservation_gives_everything_back_to_where_it_was(
    loyalty: ServiceUnderTest,
) -> None:
    member = await spendable(loyalty, points=1_000)
    voucher = await give(loyalty, member, amount_fen=5_000, threshold_fen=19_900)
    lots = await loyalty.rows("select id, remaining, expires_at from point_lots order by id")
    held = await reserved(loyalty, member, voucher_ids=[voucher], points=700)
    for _ in range(2):
        reply = await loyalty.call("release_reservation", reservation_id=held["id"])
        assert reply.status_code == 204
    assert await points_of(loyalty, member) == balances(available=1_000)
    assert await state_of(loyalty, voucher) == "issued"
    after = await loyalty.rows("select id, remaining, expires_at from point_lots order by id")
    assert after == lots
    refused = await order(loyalty, member, reservation_id=held["id"], expect=409)
    assert refused["code"] == "reservation_closed"
    await audit(loyalty)


async def test_a_reservation_past_its_time_is_released_by_the_job(
    loyalty: ServiceUnderTest,
) -> None:
    member = await spendable(loyalty, points=1_000)
    held = await reserved(loyalty, member, points=1_000)
    assert await run_due(RELEASE_STALE, database=loyalty.database) == 0
    loyalty.clock.advance(timedelta(minutes=15))
    assert await run_due(RELEASE_STALE, database=loyalty.database) == 1
    assert await points_of(loyalty, member) == balances(available=1_000)
    shown = await loyalty.call("show_reservation", reservation_id=held["id"])
    assert shown.json()["state"] == "expired"
    await audit(loyalty)


async def test_a_reservation_that_cannot_be_given_back_holds_up_no_other(
    loyalty: ServiceUnderTest,
) -> None:
    broken, sound = [await spendable(loyalty, points=1_000) for _ in range(2)]
    for member in (broken, sound):
        await reserved(loyalty, member, points=1_000)
        loyalty.clock.advance(timedelta(seconds=1))
    await loyalty.change("update accounts set held = 7 where member_id = :id", id=broken)
    loyalty.clock.advance(timedelta(minutes=15))
    assert await run_due(RELEASE_STALE, database=loyalty.database) == 1
    assert await points_of(loyalty, sound) == balances(available=1_000)
    assert (await points_of(loyalty, broken))["available"] == 0


async def test_of_50_checkouts_at_once_that_want_the_same_voucher_one_gets_it(
    loyalty: ServiceUnderTest,
) -> None:
    member = await spendable(loyalty, points=1_000)
    voucher = await give(loyalty, member, amount_fen=5_000, threshold_fen=19_900)
    replies = await asyncio.gather(
        *(reserve(loyalty, member, voucher_ids=[voucher], points=500) for _ in range(50))
    )
    assert sorted(reply.status_code for reply in replies) == [201, *[409] * 49]
    assert await points_of(loyalty, member) == balances(available=500, held=500)
    await audit(loyalty)


async def test_capture_and_release_at_once_leave_one_outcome(loyalty: ServiceUnderTest) -> None:
    for number in range(10):
        member = await spendable(loyalty, points=1_000)
        held = await reserved(loyalty, member, points=1_000)
        released, _ = await asyncio.gather(
            loyalty.call("release_reservation", reservation_id=held["id"]),
            send_order(loyalty, member, order_id=f"SO-{number}", reservation_id=held["id"]),
        )
        expected = 1_000 if released.status_code == 204 else 0
        assert (await points_of(loyalty, member))["available"] == expected
        assert (await points_of(loyalty, member))["held"] == 0
    await audit(loyalty)


async def test_a_voucher_of_somebody_else_or_too_many_points_hold_nothing(
    loyalty: ServiceUnderTest,
) -> None:
    member, other = await spendable(loyalty, points=1_000), await enrol(loyalty)
    voucher = await give(loyalty, other, amount_fen=5_000, threshold_fen=0)
    for choice in ({"voucher_ids": [voucher]}, {"points": 1_001}):
        assert (await reserve(loyalty, member, **choice)).status_code == 409
    assert await points_of(loyalty, member) == balances(available=1_000)
    assert await state_of(loyalty, voucher) == "issued"
    assert await loyalty.scalar("select count(*) from reservations") == 0


@pytest.mark.parametrize(("ends", "outcome"), [("capture", "written_off"), ("release", "voided")])
async def test_a_reward_taken_back_while_held_ends_with_the_checkout(
    loyalty: ServiceUnderTest, ends: str, outcome: str
) -> None:
    member = await enrol(loyalty)
    await hear(loyalty, reward_due(member_id=member))
    voucher = await loyalty.scalar("select id from vouchers")
    held = await reserved(loyalty, member, voucher_ids=[voucher])
    await hear(loyalty, reversal_due(member_id=member))
    assert await state_of(loyalty, voucher) == "frozen"
    if ends == "capture":
        await order(loyalty, member, reservation_id=held["id"])
    else:
        await loyalty.call("release_reservation", reservation_id=held["id"])
    told = await loyalty.scalar(
        "select data->>'outcome' from outbox where type = 'reward.reversed.v1'"
    )
    assert told == outcome == await loyalty.scalar("select outcome from rewards")


async def test_points_given_back_repay_what_a_refund_left_owing(
    loyalty: ServiceUnderTest,
) -> None:
    member = await spendable(loyalty, points=1_000)
    held = await reserved(loyalty, member, points=1_000)
    earned_by = await loyalty.scalar("select order_id from orders where member_id = :m", m=member)
    await refund(loyalty, earned_by, amount_fen=100_000)
    assert await points_of(loyalty, member) == balances(held=1_000, debt=1_000)
    await loyalty.call("release_reservation", reservation_id=held["id"])
    assert await points_of(loyalty, member) == balances()
    await audit(loyalty)


def balances(*, available: int = 0, pending: int = 0, held: int = 0, debt: int = 0) -> Any:
    return {"available": available, "pending": pending, "held": held, "debt": debt}


def basket(member: str, **choice: Any) -> dict[str, Any]:
    line = {"sku": "TEA-250", "category": "tea", "quantity": 1, "amount_fen": BASKET_FEN}
    return {"member_id": member, "items": [line], **choice}


async def quote(loyalty: ServiceUnderTest, member: str, **choice: Any) -> httpx.Response:
    return await loyalty.call("quote_checkout", json=basket(member, **choice))


async def reserve(loyalty: ServiceUnderTest, member: str, **choice: Any) -> httpx.Response:
    return await loyalty.call("reserve_checkout", json=basket(member, **choice))


async def reserved(loyalty: ServiceUnderTest, member: str, **choice: Any) -> Any:
    reply = await reserve(loyalty, member, **choice)
    assert reply.status_code == 201, reply.text
    return reply.json()


async def send_order(
    loyalty: ServiceUnderTest, member: str, *, order_id: str, reservation_id: str, paid_fen: int = 1
) -> httpx.Response:
    return await loyalty.call(
        "record_order",
        json={
            "order_id": order_id,
            "member_id": member,
            "paid_fen": paid_fen,
            "items": [{"sku": "TEA-250", "quantity": 1, "paid_fen": paid_fen}],
            "paid_at": rfc3339(loyalty.clock.now()),
            "reservation_id": reservation_id,
        },
    )


async def order(
    loyalty: ServiceUnderTest,
    member: str,
    *,
    reservation_id: str,
    paid_fen: int = 1,
    expect: int = 201,
) -> Any:
    reply = await send_order(
        loyalty, member, order_id="SO-1", reservation_id=reservation_id, paid_fen=paid_fen
    )
    assert reply.status_code == expect, reply.text
    return reply.json()


async def give(loyalty: ServiceUnderTest, member: str, **terms: Any) -> str:
    issued = await loyalty.call(
        "issue_vouchers",
        template_id=await template(loyalty, **terms),
        json={"member_ids": [member]},
    )
    voucher_id: str = issued.json()["vouchers"][0]["id"]
    return voucher_id


async def state_of(loyalty: ServiceUnderTest, voucher: str) -> str:
    state: str = (await loyalty.call("show_voucher", voucher_id=voucher)).json()["state"]
    return state
