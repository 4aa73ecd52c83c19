"""Orders cancelled, completed before they are known, paid in part with points and vouchers."""

import json
from datetime import timedelta
from typing import Any

import pytest

from services.loyalty.store.waiting import orders_that_were_missed
from tests.integration.loyalty import moves
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.orders_world import (
    CANCELLED,
    LONG_AGO,
    cancelled,
    completed,
    lots_of,
    publish,
    reserved,
    saver,
    shown,
    voucher_of,
)
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    order_of,
    place,
    points_of,
    refund,
    types_of_events,
    wallet_of,
)
from tests.integration.loyalty.racing import order_lock, race
from tests.support.service import ServiceUnderTest, Starter

NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_a_cancellation_takes_back_what_no_refund_has(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=120_000)
    await refund(loyalty, order_id, amount_fen=20_050)

    reply = await cancelled(loyalty, order_id)

    assert reply.status_code == 201
    assert reply.json() == {
        "order_id": order_id,
        "member_id": member_id,
        "status": "applied",
        "applied_fen": 99_950,
        "points": {"clawed_back": 999, "debt": 0, "returned": 0},
        "growth": 999,
        "reason": "缺货",
        "cancelled_at": "2026-11-23T03:00:00Z",
        "recorded_at": "2026-11-23T04:00:00Z",
    }
    assert await points_of(loyalty, member_id) == NOTHING
    tier = (await wallet_of(loyalty, member_id))["tier"]
    assert (tier["code"], tier["growth"]) == ("regular", 0)
    order = await shown(loyalty, order_id)
    assert (order["state"], order["refunded_fen"]) == ("cancelled", 120_000)
    assert (order["cancelled_at"], order["growth"]) == ("2026-11-23T03:00:00Z", 0)
    assert (await types_of_events(loyalty))[-3:] == [
        "order.cancelled.v1", "order.refunded.v1", "points.clawed_back.v1",
    ]  # fmt: skip
    (told,) = await loyalty.rows(
        "select data::text as data from outbox where data->>'refund_id' like 'cancellation/%'"
        " and type = 'order.refunded.v1'"
    )
    event = json.loads(told.data)
    assert (event["refund_id"], event["amount_fen"]) == (f"cancellation/{order_id}", 99_950)
    assert (event["refunded_total_fen"], event["in_full"]) == (120_000, True)
    await audit(loyalty)


async def test_a_cancellation_counts_once_whatever_the_key(loyalty: ServiceUnderTest) -> None:
    order_id = await place(loyalty, await enrol(loyalty), paid_fen=10_000)
    calls = [cancelled(loyalty, order_id) for _ in range(10)]
    replies = await race(loyalty, *calls, at=order_lock(order_id), meeting=10)
    assert sorted(reply.status_code for reply in replies) == [200] * 9 + [201]
    assert len({reply.content for reply in replies}) == 1
    before = await everything(loyalty)
    for change in ({"reason": None}, {"cancelled_at": "2026-11-23T11:00:01+08:00"}):
        other = await loyalty.call("cancel_order", order_id=order_id, json={**CANCELLED, **change})
        assert (other.status_code, other.json()["code"]) == (409, "already_recorded_differently")
    assert await everything(loyalty) == before


async def test_a_cancellation_before_the_order_waits_for_it(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    waiting = (await cancelled(loyalty, "SO-EARLY")).json()
    assert (waiting["status"], waiting["applied_fen"], waiting["member_id"]) == (
        "waiting", None, None,
    )  # fmt: skip
    assert "order.cancelled.v1" not in await types_of_events(loyalty)

    body = order_of(member_id, paid_fen=25_900, order_id="SO-EARLY")
    reply = await loyalty.call("record_order", json=body)

    assert (reply.status_code, reply.json()["state"]) == (201, "cancelled")
    assert (await loyalty.call("record_order", json=body)).json() == reply.json()
    assert await points_of(loyalty, member_id) == NOTHING
    again = await cancelled(loyalty, "SO-EARLY")
    assert (again.status_code, again.json()["applied_fen"]) == (200, 25_900)
    assert again.json()["points"]["clawed_back"] == 259
    await audit(loyalty)


async def test_a_refund_after_the_cancellation_is_taken_and_counts_for_nothing(
    loyalty: ServiceUnderTest,
) -> None:
    order_id = await place(loyalty, await enrol(loyalty), paid_fen=10_000)
    await cancelled(loyalty, order_id)
    events = await types_of_events(loyalty)
    answer = await refund(loyalty, order_id, amount_fen=10_000)
    assert (answer["status"], answer["applied_fen"], answer["refunded_total_fen"]) == (
        "applied", 0, 10_000,
    )  # fmt: skip
    assert await types_of_events(loyalty) == events


async def test_an_order_without_payment_can_be_cancelled(loyalty: ServiceUnderTest) -> None:
    member_id = await saver(loyalty, 1_000)
    held = await reserved(loyalty, member_id, points=500)
    order_id = await place(loyalty, member_id, paid_fen=0, reservation_id=held["id"])
    answer = (await cancelled(loyalty, order_id)).json()
    assert (answer["applied_fen"], answer["points"]["returned"]) == (0, 500)
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 1_000}
    assert (await shown(loyalty, order_id))["state"] == "cancelled"
    await audit(loyalty)


async def test_a_completion_before_its_order_waits_for_it(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    at = "2026-11-22T18:30:00+08:00"
    for _ in range(2):
        early = await completed(loyalty, "SO-EARLY", at=at)
        assert (early.status_code, early.json()) == (
            202,
            {
                "order_id": "SO-EARLY",
                "status": "waiting",
                "completed_at": "2026-11-22T10:30:00Z",
            },
        )
    other = await loyalty.call(
        "complete_order", order_id="SO-EARLY", json={"completed_at": LONG_AGO}
    )
    assert (other.status_code, other.json()["code"]) == (409, "already_recorded_differently")

    body = order_of(member_id, paid_fen=10_000, order_id="SO-EARLY", paid_at=at)
    reply = await loyalty.call("record_order", json=body)

    assert (reply.status_code, reply.json()["state"]) == (201, "completed")
    assert reply.json()["points"]["available_at"] == "2026-11-29T10:30:00Z"
    assert (await types_of_events(loyalty))[-2:] == ["points.earned.v1", "order.completed.v1"]
    assert (await loyalty.call("record_order", json=body)).json() == reply.json()
    assert (await completed(loyalty, "SO-EARLY", at=at)).json()["state"] == "completed"
    loyalty.clock.advance(timedelta(days=7))
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 100}


async def test_a_completion_after_all_went_back_is_taken_and_changes_no_state(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    await refund(loyalty, order_id, amount_fen=10_000)
    reply = await completed(loyalty, order_id)
    assert (reply.status_code, reply.json()["state"]) == (200, "refunded")
    assert reply.json()["completed_at"] == "2026-10-01T04:00:00Z"
    assert await points_of(loyalty, member_id) == NOTHING
    await audit(loyalty)


async def test_points_spent_on_an_order_go_back_in_proportion_to_their_lots(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await saver(loyalty, 300, 400)
    before = await lots_of(loyalty, member_id)
    held = await reserved(loyalty, member_id, points=500)
    order_id = await place(loyalty, member_id, paid_fen=30_000, reservation_id=held["id"])

    part = await refund(loyalty, order_id, amount_fen=10_000)

    # A third of 500 goes back to the lot used last; a third of what was earned is taken back.
    assert part["points"] == {"clawed_back": 100, "debt": 0, "returned": 166}
    lots = await lots_of(loyalty, member_id)
    assert [lot[1] for lot in lots] == [0, 366, 200]
    rest = await refund(loyalty, order_id, amount_fen=20_000)
    assert rest["points"] == {"clawed_back": 200, "debt": 0, "returned": 334}
    assert (await lots_of(loyalty, member_id))[:2] == before
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 700}
    restored = await loyalty.rows(
        "select (data->>'points')::int as points from outbox where type = 'points.restored.v1'"
    )
    assert [one.points for one in restored] == [166, 334]
    assert await loyalty.scalar("select returned_points from redemptions") == 500
    await audit(loyalty)


async def test_points_that_come_back_pay_for_what_is_taken_back(loyalty: ServiceUnderTest) -> None:
    member_id = await saver(loyalty, 500)
    held = await reserved(loyalty, member_id, points=500)
    order_id = await place(
        loyalty, member_id, paid_fen=60_000, reservation_id=held["id"], paid_at=LONG_AGO
    )
    await completed(loyalty, order_id)
    spent = await loyalty.call(
        "redeem_points",
        member_id=member_id,
        json={"points": 600, "purpose": "gift", "reference": "G-1"},
    )
    assert spent.status_code == 201
    answer = (await cancelled(loyalty, order_id)).json()
    assert answer["points"] == {"clawed_back": 600, "debt": 100, "returned": 500}
    assert await points_of(loyalty, member_id) == {**NOTHING, "debt": 100}
    await audit(loyalty)


@pytest.mark.parametrize(("back", "state"), [("refund", "issued"), ("part", "redeemed")])
async def test_a_full_refund_returns_the_voucher_and_a_partial_one_does_not(
    loyalty: ServiceUnderTest, back: str, state: str
) -> None:
    member_id = await enrol(loyalty)
    voucher_id = await voucher_of(loyalty, member_id)
    held = await reserved(loyalty, member_id, voucher_ids=[voucher_id])
    order_id = await place(loyalty, member_id, paid_fen=95_000, reservation_id=held["id"])
    await refund(loyalty, order_id, amount_fen=95_000 if back == "refund" else 94_999)
    voucher = (await loyalty.call("show_voucher", voucher_id=voucher_id)).json()
    assert voucher["state"] == state
    assert ("voucher.restored.v1" in await types_of_events(loyalty)) == (state == "issued")
    if state == "issued":
        again = await reserved(loyalty, member_id, voucher_ids=[voucher_id])
        await place(loyalty, member_id, paid_fen=95_000, reservation_id=again["id"])


async def test_a_voucher_past_its_last_day_does_not_come_back(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    voucher_id = await voucher_of(loyalty, member_id, validity_days=1)
    held = await reserved(loyalty, member_id, voucher_ids=[voucher_id])
    order_id = await place(loyalty, member_id, paid_fen=95_000, reservation_id=held["id"])
    loyalty.clock.advance(timedelta(days=2))
    await cancelled(loyalty, order_id)
    assert await loyalty.scalar("select state from vouchers") == "redeemed"


async def test_an_early_cancellation_returns_what_the_order_would_have_used_up(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await saver(loyalty, 500)
    before = await lots_of(loyalty, member_id)
    voucher_id = await voucher_of(loyalty, member_id)
    held = await reserved(loyalty, member_id, voucher_ids=[voucher_id], points=500)
    await cancelled(loyalty, "SO-EARLY")
    body: dict[str, Any] = {"order_id": "SO-EARLY", "reservation_id": held["id"]}
    await place(loyalty, member_id, paid_fen=94_500, **body)
    assert (await lots_of(loyalty, member_id))[:1] == before
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 500}
    assert await loyalty.scalar("select state from vouchers") == "issued"
    await audit(loyalty)


async def test_an_order_earns_and_is_clawed_back_under_its_own_rules(
    loyalty: ServiceUnderTest,
) -> None:
    await publish(loyalty, earn_on="gross")
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000, discount_fen=5_000)
    assert await points_of(loyalty, member_id) == {**NOTHING, "pending": 150}
    await publish(loyalty, earn_on="cash", per_yuan=10)
    answer = await refund(loyalty, order_id, amount_fen=3_333)
    # 15,000 × 6,667 ÷ 10,000 = 10,000.5 fen of the gross are kept.
    assert answer["points"]["clawed_back"] == 50
    assert answer["growth"] == 34
    await refund(loyalty, order_id, amount_fen=6_667)
    assert await points_of(loyalty, member_id) == NOTHING


async def test_points_pending_until_payment_need_no_completion(loyalty: ServiceUnderTest) -> None:
    await publish(loyalty, pending="payment")
    member_id = await enrol(loyalty)
    reply = await loyalty.call("record_order", json=order_of(member_id, paid_fen=10_000))
    assert reply.json()["points"]["available_at"] == "2026-11-30T04:00:00Z"
    assert reply.json()["points"]["expires_at"] == "2027-11-30T16:00:00Z"
    loyalty.clock.advance(timedelta(days=7))
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 100}
    await complete(loyalty, reply.json()["order_id"])
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 100}
    await audit(loyalty)


async def test_a_completion_that_has_counted_waits_no_longer(loyalty: ServiceUnderTest) -> None:
    order = order_of(await enrol(loyalty), paid_fen=10_000)
    await completed(loyalty, order["order_id"])
    assert (await loyalty.call("record_order", json=order)).status_code == 201
    async with loyalty.database.reading() as session:
        assert await orders_that_were_missed(session, but=set(), limit=1) == []


async def test_what_an_order_paid_ahead_earns_is_told_with_the_day_it_lapses(
    loyalty: ServiceUnderTest,
) -> None:
    await publish(loyalty, pending="payment")
    await place(loyalty, await enrol(loyalty), paid_fen=10_000)
    told = await loyalty.scalar("select data from outbox where type = 'points.earned.v1'")
    moments = ("2026-11-30T04:00:00Z", "2027-11-30T16:00:00Z")
    assert (told["available_at"], told["expires_at"]) == moments


async def test_what_goes_back_goes_back_under_the_rules_of_its_order(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await saver(loyalty, 1_000)
    before = await lots_of(loyalty, member_id)
    held = await reserved(loyalty, member_id, points=500)
    order_id = await place(loyalty, member_id, paid_fen=30_000, reservation_id=held["id"])
    await moves.publish(loyalty, redeem={"restore_grace_days": 3_000})
    await refund(loyalty, order_id, amount_fen=30_000)
    assert (await lots_of(loyalty, member_id))[:1] == before, "without the grace of later rules"
    entries = await loyalty.rows(
        "select kind, programme_version from point_entries order by seq desc limit 2"
    )
    assert [tuple(entry) for entry in entries] == [("clawed_back", 1), ("restored", 1)]
