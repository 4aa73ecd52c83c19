"""Orders that points and a voucher have paid a part of, and other rules of the programme."""

import json
from typing import Any

import httpx

from shared.kernel.clock import rfc3339
from tests.integration.loyalty.people import enrol, place
from tests.integration.loyalty.vouchers_world import template
from tests.support.service import ServiceUnderTest

#: Received so long ago that the hold is over.
LONG_AGO = "2026-10-01T12:00:00+08:00"
CANCELLED = {"cancelled_at": "2026-11-23T11:00:00+08:00", "reason": "缺货"}


async def publish(loyalty: ServiceUnderTest, **points: Any) -> None:
    """Put another version of the rules into force, some of its `points` changed."""
    async with loyalty.database.begin(actor="test") as transaction:
        connection = await transaction.session.connection()
        await connection.exec_driver_sql(
            "insert into programme_versions (version, rules, published_by, published_at)"
            " select max(version) + 1, jsonb_set((array_agg(rules order by version desc))[1],"
            " '{points}', (array_agg(rules order by version desc))[1] -> 'points'"
            f" || '{json.dumps(points)}'::jsonb), 'test', '2026-01-01T00:00:00Z'"
            " from programme_versions"
        )


async def saver(loyalty: ServiceUnderTest, *lots: int) -> str:
    """Somebody with some lots of so many points each, all to be spent, lapsing month by month."""
    member_id = await enrol(loyalty)
    for month, points in enumerate(lots, start=4):
        at = f"2026-0{month}-01T12:00:00+08:00"
        order_id = await place(loyalty, member_id, paid_fen=points * 100, paid_at=at)
        await completed(loyalty, order_id, at=at)
    return member_id


async def reserved(loyalty: ServiceUnderTest, member_id: str, **choice: Any) -> dict[str, Any]:
    """Reserve for a basket of 1,000 yuan and give the reservation."""
    line = {"sku": "SERUM-30ML", "quantity": 1, "amount_fen": 100_000}
    reply = await loyalty.call(
        "reserve_checkout", json={"member_id": member_id, "items": [line], **choice}
    )
    assert reply.status_code == 201, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


async def voucher_of(loyalty: ServiceUnderTest, member_id: str, **terms: Any) -> str:
    """A voucher in a member's wallet; its id."""
    issued = await loyalty.call(
        "issue_vouchers",
        template_id=await template(loyalty, **terms),
        json={"member_ids": [member_id]},
    )
    assert issued.status_code == 201, issued.text
    return str(issued.json()["vouchers"][0]["id"])


async def completed(
    loyalty: ServiceUnderTest, order_id: str, *, at: str = LONG_AGO
) -> httpx.Response:
    """Report an order as received."""
    reply = await loyalty.call("complete_order", order_id=order_id, json={"completed_at": at})
    assert reply.status_code in (200, 202), reply.text
    return reply


async def cancelled(loyalty: ServiceUnderTest, order_id: str, **other: Any) -> httpx.Response:
    """Report an order as cancelled."""
    reply = await loyalty.call("cancel_order", order_id=order_id, json={**CANCELLED, **other})
    assert reply.status_code in (200, 201), reply.text
    return reply


async def shown(loyalty: ServiceUnderTest, order_id: str) -> dict[str, Any]:
    """An order as it stands."""
    reply = await loyalty.call("show_order", order_id=order_id)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def lines(*given: tuple[str, int, int]) -> list[dict[str, Any]]:
    """Lines: SKU, pieces, and what was paid for them."""
    return [{"sku": sku, "quantity": n, "paid_fen": fen} for sku, n, fen in given]


async def lots_of(loyalty: ServiceUnderTest, member_id: str) -> list[tuple[int, int, str | None]]:
    """What was earned, what remains of it and when that lapses, of each lot, soonest first."""
    rows = await loyalty.rows(
        "select points, remaining, expires_at from point_lots where member_id = :id"
        " order by expires_at nulls last, points",
        id=member_id,
    )
    return [(row.points, row.remaining, row.expires_at and rfc3339(row.expires_at)) for row in rows]
