"""What tests of the loyalty service tell it: people, orders, refunds."""

import itertools
from datetime import timedelta
from typing import Any

from shared.kernel.clock import rfc3339
from tests.support.service import ServiceUnderTest

_numbers = itertools.count(1)


async def enrol(loyalty: ServiceUnderTest, **fields: Any) -> str:
    """Enrol somebody and give their id."""
    given = {
        "identities": [{"kind": "external", "value": f"user-{next(_numbers)}"}],
        "nickname": "小红",
        **fields,
    }
    reply = await loyalty.call("enrol_member", json=given)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


def order_of(member_id: str, *, paid_fen: int, **fields: Any) -> dict[str, Any]:
    """An order as a storefront reports it."""
    return {
        "order_id": f"SO-{next(_numbers)}",
        "member_id": member_id,
        "paid_fen": paid_fen,
        "items": [{"sku": "SERUM-30ML", "quantity": 1, "paid_fen": paid_fen}],
        "paid_at": "2026-11-23T12:00:00+08:00",
        **fields,
    }


async def place(loyalty: ServiceUnderTest, member_id: str, *, paid_fen: int, **more: Any) -> str:
    """Report a paid order and give its id."""
    reply = await loyalty.call("record_order", json=order_of(member_id, paid_fen=paid_fen, **more))
    assert reply.status_code == 201, reply.text
    return str(reply.json()["order_id"])


async def complete(loyalty: ServiceUnderTest, order_id: str) -> None:
    """Report an order as received just now."""
    at = rfc3339(loyalty.clock.now())
    reply = await loyalty.call("complete_order", order_id=order_id, json={"completed_at": at})
    assert reply.status_code == 200, reply.text


async def refund(
    loyalty: ServiceUnderTest, order_id: str, *, amount_fen: int, **more: Any
) -> dict[str, Any]:
    """Report a refund and give the reply."""
    given = {
        "refund_id": f"RF-{next(_numbers)}",
        "amount_fen": amount_fen,
        "refunded_at": "2026-11-24T12:00:00+08:00",
        **more,
    }
    reply = await loyalty.call("refund_order", order_id=order_id, json=given)
    assert reply.status_code == 201, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


async def spendable(loyalty: ServiceUnderTest, *, points: int) -> str:
    """Somebody with so many points to spend: bought, received, and past the hold."""
    member_id = await enrol(loyalty)
    await complete(loyalty, await place(loyalty, member_id, paid_fen=points * 100))
    loyalty.clock.advance(timedelta(days=7))
    return member_id


async def redeem(
    loyalty: ServiceUnderTest, member_id: str, *, points: int, key: str = "new"
) -> Any:
    """Spend points and give the response."""
    return await loyalty.call(
        "redeem_points",
        member_id=member_id,
        key=key,
        json={"points": points, "purpose": "checkout", "reference": "SO-9"},
    )


async def wallet_of(loyalty: ServiceUnderTest, member_id: str) -> dict[str, Any]:
    """A member's wallet."""
    reply = await loyalty.call("show_wallet", member_id=member_id)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


async def points_of(loyalty: ServiceUnderTest, member_id: str, **query: str) -> dict[str, int]:
    """A member's balances."""
    reply = await loyalty.call("show_points", member_id=member_id, params=query)
    assert reply.status_code == 200, reply.text
    balances: dict[str, Any] = reply.json()
    return {name: balances[name] for name in ("available", "pending", "held", "debt")}


async def types_of_events(loyalty: ServiceUnderTest) -> list[str]:
    """The types of all events recorded so far, in order."""
    return [row.type for row in await loyalty.rows("select type from outbox order by id")]


async def everything(loyalty: ServiceUnderTest) -> list[Any]:
    """All that the business has on record, to show that a refusal changed nothing."""
    tables = (
        "members", "identities", "accounts", "point_entries", "point_lots", "lot_allocations",
        "orders", "refunds", "order_cancellations", "early_completions", "redemptions",
        "growth_entries", "tier_changes", "transfers", "adjustments", "entry_reasons", "outbox",
    )  # fmt: skip
    return [
        [row.data for row in await loyalty.rows(f"select to_json(t)::text as data from {t} t")]
        for t in tables
    ]
