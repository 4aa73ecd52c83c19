"""What a refund does in the plain version."""

import hashlib
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bench.plain_orm.shapes import RefundIn, RefundOut
from bench.plain_orm.work import add_entry, add_event, programme_in_force
from services.loyalty.store.tables import Account, GrowthEntry, Order, PointLot, Refund


async def take_back(
    session: AsyncSession, *, body: RefundIn, order: Order, account: Account, now: datetime
) -> RefundOut:
    """Take back what the part that went back had earned, from the order's own lot first."""
    kept_fen = order.paid_fen - order.refunded_fen
    lost = kept_fen // 100 - (kept_fen - body.amount_fen) // 100
    parts = await _taken(session, order=order, points=lost)
    order.refunded_fen += body.amount_fen
    order.clawed_back_points += lost
    account.available -= sum(parts.values())
    account.debt += lost - sum(parts.values())
    account.growth -= lost
    growth = await session.get(GrowthEntry, (order.member_id, "order", order.order_id))
    if growth is not None:
        growth.growth = (order.paid_fen - order.refunded_fen) // 100
    refund = Refund(
        **body.model_dump(),
        order_id=order.order_id,
        member_id=order.member_id,
        facts_hash=hashlib.sha256(body.model_dump_json().encode()).digest(),
        applied_fen=body.amount_fen,
        refunded_total_fen=order.refunded_fen,
        clawed_back_points=lost,
        debt_points=lost - sum(parts.values()),
        returned_points=0,
        growth=lost,
        recorded_at=now,
        applied_at=now,
    )
    session.add(refund)
    if parts:
        await add_entry(
            session,
            account=account,
            kind="clawed_back",
            accounts=("available", "clawed_back"),
            points=sum(parts.values()),
            cause=("refund", refund.refund_id),
            programme=await programme_in_force(session),
            parts={lot_id: -points for lot_id, points in parts.items()},
            occurred_at=body.refunded_at,
            now=now,
        )
    reply = RefundOut(**refund.model_dump())
    facts = reply.model_dump(mode="json")
    for kind in ("order.refunded.v1", "points.clawed_back.v1"):
        await add_event(session, subject=order.member_id, kind=kind, data=facts, now=now)
    return reply


async def _taken(session: AsyncSession, *, order: Order, points: int) -> dict[str, int]:
    """How many points each lot gives."""
    lots = select(PointLot).where(
        PointLot.member_id == order.member_id, PointLot.state == "available", PointLot.remaining > 0
    )
    in_order = lots.order_by(
        col(PointLot.cause_id) != order.order_id,
        col(PointLot.expires_at),
        col(PointLot.created_at),
        col(PointLot.id),
    )
    parts = {}
    for lot in await session.exec(in_order):
        part = min(lot.remaining, points)
        if part == 0:
            break
        lot.remaining -= part
        lot.state = "available" if lot.remaining else "closed"
        parts[lot.id] = part
        points -= part
    return parts
