"""Refunds: known by their own id, waiting until their order is known."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Row, text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.orders import OrderItem, Refund, RefundFacts, item_rows
from shared.sql import execute

_FIND: Final = text("select * from refunds where refund_id = :refund_id")
_WAITING: Final = text(
    """
    select * from refunds where order_id = :order_id and applied_at is null
    order by refunded_at, refund_id
    """
)
_SAVE: Final = text(
    """
    insert into refunds (refund_id, order_id, member_id, amount_fen, items, facts_hash,
      applied_fen, refunded_total_fen, clawed_back_points, debt_points, growth, refunded_at,
      recorded_at, applied_at)
    values (:refund_id, :order_id, :member_id, :amount_fen, cast(:items as jsonb), :facts_hash,
      :applied_fen, :refunded_total_fen, :clawed_back_points, :debt_points, :growth, :refunded_at,
      :recorded_at, :applied_at)
    on conflict (refund_id) do update set member_id = excluded.member_id,
      applied_fen = excluded.applied_fen, refunded_total_fen = excluded.refunded_total_fen,
      clawed_back_points = excluded.clawed_back_points, debt_points = excluded.debt_points,
      growth = excluded.growth, applied_at = excluded.applied_at
    where refunds.order_id = excluded.order_id and refunds.applied_at is null
    returning refund_id
    """
)


async def find_refund(session: AsyncSession, *, refund_id: str) -> Refund | None:
    """The refund on record, if there is one."""
    row = (await execute(session, _FIND, {"refund_id": refund_id})).one_or_none()
    return None if row is None else _refund(row)


async def waiting_refunds(session: AsyncSession, *, order_id: str) -> Sequence[Refund]:
    """Refunds that came before their order, in the order in which the money went back."""
    rows = await execute(session, _WAITING, {"order_id": order_id})
    return [_refund(row) for row in rows]


async def save_refund(
    session: AsyncSession, *, refund: Refund, applied_at: datetime | None
) -> bool:
    """Record a refund, or that a waiting one was applied; False when its id is another order's."""
    facts = refund.facts
    items = None if facts.items is None else orjson.dumps(item_rows(facts.items)).decode()
    saved = await execute(
        session,
        _SAVE,
        {
            "refund_id": facts.refund_id,
            "order_id": facts.order_id,
            "member_id": refund.member_id,
            "amount_fen": facts.amount_fen,
            "items": items,
            "facts_hash": refund.facts_hash,
            "applied_fen": refund.applied_fen,
            "refunded_total_fen": refund.refunded_total_fen,
            "clawed_back_points": refund.clawed_back_points,
            "debt_points": refund.debt_points,
            "growth": refund.growth,
            "refunded_at": facts.refunded_at,
            "recorded_at": refund.recorded_at,
            "applied_at": applied_at,
        },
    )
    return saved.one_or_none() is not None


def _refund(row: Row[Any]) -> Refund:
    items = None
    if row.items is not None:
        items = tuple(OrderItem(**item) for item in orjson.loads(row.items))
    return Refund(
        facts=RefundFacts(
            refund_id=row.refund_id,
            order_id=row.order_id,
            amount_fen=row.amount_fen,
            items=items,
            refunded_at=row.refunded_at,
        ),
        facts_hash=row.facts_hash,
        member_id=row.member_id,
        recorded_at=row.recorded_at,
        applied_fen=row.applied_fen,
        refunded_total_fen=row.refunded_total_fen,
        clawed_back_points=row.clawed_back_points,
        debt_points=row.debt_points,
        growth=row.growth,
    )
