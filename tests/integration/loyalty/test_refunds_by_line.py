"""Refunds that name the lines that went back."""

from typing import Any

import httpx
import pytest

from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.orders_world import lines, shown
from tests.integration.loyalty.people import enrol, everything, place, points_of, refund
from tests.support.service import ServiceUnderTest, Starter

ORDERED = lines(("SERUM-30ML", 2, 20_000), ("SOAP", 1, 5_000), ("SERUM-30ML", 1, 10_000))


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def send(
    loyalty: ServiceUnderTest, order_id: str, *, amount_fen: int, items: Any, refund_id: str = "RF"
) -> httpx.Response:
    """Report a refund by line."""
    body = {
        "refund_id": refund_id,
        "amount_fen": amount_fen,
        "items": items,
        "refunded_at": "2026-11-24T12:00:00+08:00",
    }
    return await loyalty.call("refund_order", order_id=order_id, json=body)


async def test_a_refund_by_line_counts_its_pieces(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=35_000, items=ORDERED)

    reply = await send(loyalty, order_id, amount_fen=20_000, items=lines(("SERUM-30ML", 2, 20_000)))

    assert (reply.status_code, reply.json()["items_match"]) == (201, True)
    assert reply.json()["points"] == {"clawed_back": 200, "debt": 0, "returned": 0}
    counted = [line["refunded_quantity"] for line in (await shown(loyalty, order_id))["items"]]
    assert counted == [2, 0, 0]
    await refund(loyalty, order_id, amount_fen=5_000)
    await refund(loyalty, order_id, amount_fen=10_000, items=lines(("SERUM-30ML", 1, 10_000)))
    order = await shown(loyalty, order_id)
    assert [line["refunded_quantity"] for line in order["items"]] == [2, 0, 1]
    assert order["state"] == "refunded"
    assert (await points_of(loyalty, member_id))["pending"] == 0
    await audit(loyalty)


async def test_no_lines_and_an_empty_list_of_them_are_the_same_refund(
    loyalty: ServiceUnderTest,
) -> None:
    order_id = await place(loyalty, await enrol(loyalty), paid_fen=35_000, items=ORDERED)
    told: list[Any] = [[], None, []]
    replies = [await send(loyalty, order_id, amount_fen=5_000, items=items) for items in told]
    assert [reply.status_code for reply in replies] == [201, 200, 200]
    assert {reply.content for reply in replies} == {replies[0].content}


@pytest.mark.parametrize(
    ("items", "code", "named"),
    [
        (lines(("CREAM", 1, 5_000)), "refund_item_unknown", "CREAM"),
        (lines(("SOAP", 2, 5_000)), "refund_item_exceeded", "SOAP"),
        (lines(("SERUM-30ML", 2, 4_000), ("SERUM-30ML", 2, 1_000)), "refund_item_exceeded", "2"),
    ],
)
async def test_lines_that_are_not_the_orders_are_refused_by_name(
    loyalty: ServiceUnderTest, items: Any, code: str, named: str
) -> None:
    order_id = await place(loyalty, await enrol(loyalty), paid_fen=35_000, items=ORDERED)
    await refund(loyalty, order_id, amount_fen=10_000, items=lines(("SERUM-30ML", 1, 10_000)))
    before = await everything(loyalty)
    reply = await send(loyalty, order_id, amount_fen=5_000, items=items)
    assert (reply.status_code, reply.json()["code"]) == (409, code)
    assert named in reply.json()["detail"]
    assert await everything(loyalty) == before


async def test_lines_have_to_add_up_to_the_amount(loyalty: ServiceUnderTest) -> None:
    order_id = await place(loyalty, await enrol(loyalty), paid_fen=35_000, items=ORDERED)
    before = await everything(loyalty)
    for unknown in (order_id, "SO-UNKNOWN"):
        reply = await send(loyalty, unknown, amount_fen=5_001, items=lines(("SOAP", 1, 5_000)))
        assert reply.status_code == 422
        assert [error["pointer"] for error in reply.json()["errors"]] == ["/amount_fen"]
    assert await everything(loyalty) == before


async def test_an_early_refund_that_names_other_lines_counts_by_its_amount(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    items = {"RF-1": lines(("SOAP", 1, 5_000)), "RF-2": lines(("SOAP", 1, 4_000))}
    for refund_id, given in items.items():
        amount_fen = given[0]["paid_fen"]
        await send(loyalty, "SO-E", amount_fen=amount_fen, items=given, refund_id=refund_id)
    await place(loyalty, member_id, paid_fen=35_000, items=ORDERED, order_id="SO-E")

    assert await points_of(loyalty, member_id) == {
        "available": 0, "pending": 260, "held": 0, "debt": 0,
    }  # fmt: skip
    for refund_id, match in (("RF-1", True), ("RF-2", False)):
        given = items[refund_id]
        amount_fen = given[0]["paid_fen"]
        again = await send(loyalty, "SO-E", amount_fen=amount_fen, items=given, refund_id=refund_id)
        assert (again.status_code, again.json()["items_match"]) == (200, match)
        assert again.json()["applied_fen"] == amount_fen
    order = await shown(loyalty, "SO-E")
    assert [line["refunded_quantity"] for line in order["items"]] == [0, 1, 0]
    await audit(loyalty)
