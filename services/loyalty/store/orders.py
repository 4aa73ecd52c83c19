"""Orders: held by their id, read with the rules they earned under, written."""

from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Row, text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.orders import Order, OrderFacts, item_rows
from services.loyalty.domain.programme import read_programme
from shared.sql import execute

_HOLD: Final = text("select pg_advisory_xact_lock(hashtextextended(:order_id, 42))")
_FIND: Final = text(
    """
    select orders.*, programme.rules::text as rules
    from orders join programme_versions as programme on programme.version = programme_version
    where order_id = :order_id
    """
)
_ADD: Final = text(
    """
    insert into orders (order_id, member_id, state, paid_fen, discount_fen, refunded_fen, items,
      channel, reservation_id, device_id, payer_hash, facts_hash, programme_version,
      multiplier_percent, earned_points, clawed_back_points, growth, tier_at_recording,
      refunded_at_recording_fen, paid_at, recorded_at)
    values (:order_id, :member_id, :state, :paid_fen, :discount_fen, :refunded_fen,
      cast(:items as jsonb), :channel, :reservation_id, :device_id, :payer_hash, :facts_hash,
      :programme_version, :multiplier_percent, :earned_points, :clawed_back_points, :growth,
      :tier_at_recording, :refunded_at_recording_fen, :paid_at, :recorded_at)
    on conflict (order_id) do nothing returning order_id
    """
)
_COMPLETE: Final = text(
    """
    update orders set state = 'completed', completed_at = :completed_at
    where order_id = :order_id
    """
)
_REFUND: Final = text(
    """
    update orders set refunded_fen = :refunded_fen, state = :state,
      clawed_back_points = :clawed_back_points
    where order_id = :order_id
    """
)
_GROWTH: Final = text(
    """
    insert into growth_entries
      (member_id, cause_kind, cause_id, growth, programme_version, occurred_at)
    values (:member_id, 'order', :order_id, :growth, :programme_version, :occurred_at)
    on conflict (member_id, cause_kind, cause_id) do update set growth = excluded.growth
    """
)


async def hold_order(session: AsyncSession, *, order_id: str) -> None:
    """Keep others off an order's id until commit, whether the order is known or not.

    Taken before any account, so that an order and its early refund cannot miss each other.
    """
    await execute(session, _HOLD, {"order_id": order_id})


async def find_order(session: AsyncSession, *, order_id: str) -> Order | None:
    """The order on record, if there is one."""
    row = (await execute(session, _FIND, {"order_id": order_id})).one_or_none()
    return None if row is None else _order(row)


async def add_order(session: AsyncSession, *, order: Order, facts: OrderFacts) -> bool:
    """Record an order; False when an import took its id first."""
    added = await execute(
        session,
        _ADD,
        {
            "order_id": order.order_id,
            "member_id": order.member_id,
            "state": order.state,
            "paid_fen": order.paid_fen,
            "discount_fen": order.discount_fen,
            "refunded_fen": order.refunded_fen,
            "items": orjson.dumps(item_rows(facts.items)).decode(),
            "channel": facts.channel,
            "reservation_id": facts.reservation_id,
            "device_id": facts.device_id,
            "payer_hash": facts.payer_hash,
            "facts_hash": order.facts_hash,
            "programme_version": order.programme.version,
            "multiplier_percent": order.multiplier_percent,
            "earned_points": order.earned_points,
            "clawed_back_points": order.clawed_back_points,
            "growth": order.growth,
            "tier_at_recording": order.tier_at_recording,
            "refunded_at_recording_fen": order.refunded_at_recording_fen,
            "paid_at": order.paid_at,
            "recorded_at": order.recorded_at,
        },
    )
    return added.one_or_none() is not None


async def save_completion(session: AsyncSession, *, order_id: str, completed_at: datetime) -> None:
    """Mark an order as received."""
    await execute(session, _COMPLETE, {"order_id": order_id, "completed_at": completed_at})


async def save_refunded(session: AsyncSession, *, order: Order) -> None:
    """Write what has gone back of an order so far."""
    await execute(
        session,
        _REFUND,
        {
            "order_id": order.order_id,
            "refunded_fen": order.refunded_fen,
            "state": order.state,
            "clawed_back_points": order.clawed_back_points,
        },
    )


async def save_growth(session: AsyncSession, *, order: Order, growth: int) -> None:
    """Write the growth that an order gives, net of its refunds."""
    await execute(
        session,
        _GROWTH,
        {
            "member_id": order.member_id,
            "order_id": order.order_id,
            "growth": growth,
            "programme_version": order.programme.version,
            "occurred_at": order.paid_at,
        },
    )


def _order(row: Row[Any]) -> Order:
    return Order(
        order_id=row.order_id,
        member_id=row.member_id,
        state=row.state,
        paid_fen=row.paid_fen,
        discount_fen=row.discount_fen,
        refunded_fen=row.refunded_fen,
        facts_hash=row.facts_hash,
        programme=read_programme(row.programme_version, row.rules),
        multiplier_percent=row.multiplier_percent,
        earned_points=row.earned_points,
        clawed_back_points=row.clawed_back_points,
        growth=row.growth,
        tier_at_recording=row.tier_at_recording,
        refunded_at_recording_fen=row.refunded_at_recording_fen or 0,
        import_id=row.import_id,
        paid_at=row.paid_at,
        completed_at=row.completed_at,
        recorded_at=row.recorded_at,
    )
