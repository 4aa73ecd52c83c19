"""Facts of one order in every order, on real PostgreSQL: the end is a closed form of the set.

tests/property/loyalty/test_orders_any_order.py has the same laws over random histories.
"""

import itertools
from typing import Any

import pytest

from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.orders_world import (
    CANCELLED,
    LONG_AGO,
    lines,
    lots_of,
    reserved,
    saver,
    shown,
    voucher_of,
)
from tests.integration.loyalty.people import points_of, wallet_of
from tests.integration.loyalty.racing import order_lock, race
from tests.support.service import ServiceUnderTest, Starter

PAID_FEN = 131_313
_numbers = itertools.count(1)


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def report(
    loyalty: ServiceUnderTest, fact: str, *, order_id: str, member_id: str, reservation_id: str
) -> Any:
    """Report one fact of an order, as often as wanted."""
    if fact == "order":
        body: dict[str, Any] = {
            "order_id": order_id,
            "member_id": member_id,
            "paid_fen": PAID_FEN,
            "items": lines(("SERUM-30ML", 3, 100_000), ("SOAP", 1, PAID_FEN - 100_000)),
            "paid_at": LONG_AGO,
            "reservation_id": reservation_id,
        }
        reply = await loyalty.call("record_order", json=body)
    elif fact == "completion":
        body = {"completed_at": LONG_AGO}
        reply = await loyalty.call("complete_order", order_id=order_id, json=body)
    elif fact == "cancellation":
        reply = await loyalty.call("cancel_order", order_id=order_id, json=CANCELLED)
    else:
        amount_fen = {"by amount": 30_001, "by line": 66_666, "rest": 999}[fact]
        body = {
            "refund_id": f"{order_id}:{fact.replace(' ', '-')}",
            "amount_fen": amount_fen,
            "refunded_at": "2026-11-20T12:00:00+08:00",
        }
        if fact == "by line":
            body["items"] = lines(("SERUM-30ML", 2, 66_666))
        reply = await loyalty.call("refund_order", order_id=order_id, json=body)
    return reply


async def insist(loyalty: ServiceUnderTest, fact: str, **about: str) -> Any:
    """Report a fact again for as long as others are at the order, as a storefront does."""
    reply = await report(loyalty, fact, **about)
    while reply.status_code == 503:
        reply = await report(loyalty, fact, **about)
    assert reply.status_code in (200, 201, 202), reply.text


async def end_of(loyalty: ServiceUnderTest, member_id: str, order_id: str) -> Any:
    """All by which two ends are compared."""
    order = await shown(loyalty, order_id)
    wallet = await wallet_of(loyalty, member_id)
    returned = await loyalty.scalar(
        "select sum(returned_points)::int from redemptions where member_id = :id", id=member_id
    )
    vouchers = await loyalty.rows("select state from vouchers where member_id = :id", id=member_id)
    return {
        "points": await points_of(loyalty, member_id),
        "lots": await lots_of(loyalty, member_id),
        "tier": (wallet["tier"]["code"], wallet["tier"]["growth"]),
        "order": (order["state"], order["refunded_fen"], order["points"]["clawed_back"]),
        "completed_at": order["completed_at"],
        "refunded": [line["refunded_quantity"] for line in order["items"]],
        "returned": returned,
        "vouchers": [voucher.state for voucher in vouchers],
    }


async def history(
    loyalty: ServiceUnderTest, arrivals: tuple[str, ...], *, member_id: str, again: str
) -> Any:
    """Report facts as they arrive, one of them three times, and give the end."""
    (voucher,) = await loyalty.rows("select id from vouchers where member_id = :id", id=member_id)
    held = await reserved(loyalty, member_id, points=501, voucher_ids=[voucher.id])
    order_id = f"SO-H{next(_numbers)}"
    for fact in (*arrivals, again):
        for _ in range(2 if fact == again else 1):
            await insist(
                loyalty, fact, order_id=order_id, member_id=member_id, reservation_id=held["id"]
            )
    return await end_of(loyalty, member_id, order_id)


async def test_every_order_of_arrival_of_partial_refunds_ends_in_the_closed_form(
    loyalty: ServiceUnderTest,
) -> None:
    facts = ("order", "completion", "by amount", "by line")
    ends = []
    for number, arrivals in enumerate(itertools.permutations(facts)):
        member_id = await saver(loyalty, 301, 402)
        await voucher_of(loyalty, member_id)
        again = facts[number % len(facts)]
        ends.append(await history(loyalty, arrivals, member_id=member_id, again=again))
    # 501 × 96,667 ÷ 131,313 = 368.8 points are back; 131,313 − 96,667 fen still earn 346.
    assert [end for end in ends if end != ends[0]] == []
    assert ends[0]["points"] == {"available": 202 + 368 + 346, "pending": 0, "held": 0, "debt": 0}
    assert [lot[:2] for lot in ends[0]["lots"]] == [(301, 301 - 133), (402, 402), (1313, 346)]
    assert ends[0]["order"] == ("completed", 96_667, 1313 - 346)
    assert ends[0]["refunded"] == [2, 0]
    assert ends[0]["tier"] == ("silver", 703 + 346)
    assert (ends[0]["returned"], ends[0]["vouchers"]) == (368, ["redeemed"])
    await audit(loyalty)


async def test_every_order_of_arrival_with_a_cancellation_leaves_the_member_as_before(
    loyalty: ServiceUnderTest,
) -> None:
    facts = ("order", "completion", "by amount", "by line", "cancellation")
    member_id = await saver(loyalty, 301, 402)
    await voucher_of(loyalty, member_id)
    for number, arrivals in enumerate(itertools.permutations(facts)):
        again = facts[number % len(facts)]
        end = await history(loyalty, arrivals, member_id=member_id, again=again)
        assert end["points"] == {"available": 703, "pending": 0, "held": 0, "debt": 0}, arrivals
        assert [lot[:2] for lot in end["lots"][:2]] == [(301, 301), (402, 402)], arrivals
        assert {lot[1] for lot in end["lots"][2:]} == {0}, arrivals
        assert end["order"] == ("cancelled", PAID_FEN, 1313), arrivals
        assert end["completed_at"] is not None, arrivals
        assert end["tier"] == ("regular", 703), arrivals
        assert end["vouchers"] == ["issued"], arrivals
    assert await loyalty.scalar("select min(returned_points) from redemptions") == 501
    await audit(loyalty)


async def test_facts_that_meet_never_miss_each_other(loyalty: ServiceUnderTest) -> None:
    facts = ("order", "completion", "by amount", "by line", "cancellation")
    for number in range(3):
        member_id = await saver(loyalty, 301, 402)
        held = await reserved(loyalty, member_id, points=501)
        order_id = f"SO-M{number}"
        calls = [
            insist(loyalty, fact, order_id=order_id, member_id=member_id, reservation_id=held["id"])
            for fact in facts
        ]
        await race(loyalty, *calls, at=order_lock(order_id), meeting=len(facts))
        end = await end_of(loyalty, member_id, order_id)
        assert end["points"] == {"available": 703, "pending": 0, "held": 0, "debt": 0}
        assert end["order"] == ("cancelled", PAID_FEN, 1313)
        assert (end["completed_at"], end["returned"]) == ("2026-10-01T04:00:00Z", 501)
    assert await loyalty.scalar("select count(*) from refunds where applied_at is null") == 0
    await audit(loyalty)
