"""Saving what was decided about orders: one statement, whatever the number of orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.clawbacks import SpentPoints
from services.loyalty.domain.order_cancellations import Cancellation
from services.loyalty.domain.orders import Order, OrderFacts, OrderItem, item_rows, kept
from services.loyalty.domain.refunds import Refund
from services.loyalty.store.writing import Placeholders, Rows, Updates, inserting, updating
from shared.records_sql import Column
from shared.sql import execute

ORDER_COLUMNS: Final[Sequence[Column[tuple[Order, OrderFacts]]]] = [
    ("order_id", "text", lambda one: one[0].order_id),
    ("member_id", "text", lambda one: one[0].member_id),
    ("state", "text", lambda one: one[0].state),
    ("paid_fen", "bigint", lambda one: one[0].paid_fen),
    ("discount_fen", "bigint", lambda one: one[0].discount_fen),
    ("refunded_fen", "bigint", lambda one: one[0].refunded_fen),
    ("items", "jsonb", lambda one: _json(one[1].items)),
    ("channel", "text", lambda one: one[1].channel),
    ("reservation_id", "text", lambda one: one[1].reservation_id),
    ("device_id", "text", lambda one: one[1].device_id),
    ("payer_hash", "text", lambda one: one[1].payer_hash),
    ("facts_hash", "bytea", lambda one: one[0].facts_hash),
    ("programme_version", "int", lambda one: one[0].programme.version),
    ("multiplier_percent", "int", lambda one: one[0].multiplier_percent),
    ("earned_points", "bigint", lambda one: one[0].earned_points),
    ("clawed_back_points", "bigint", lambda one: one[0].clawed_back_points),
    ("growth", "bigint", lambda one: one[0].growth),
    ("tier_at_recording", "text", lambda one: one[0].tier_at_recording),
    ("refunded_at_recording_fen", "bigint", lambda one: one[0].refunded_at_recording_fen),
    ("came_completed", "boolean", lambda one: one[0].came_completed),
    ("came_cancelled", "boolean", lambda one: one[0].came_cancelled),
    ("paid_at", "timestamptz", lambda one: one[0].paid_at),
    ("completed_at", "timestamptz", lambda one: one[0].completed_at),
    ("cancelled_at", "timestamptz", lambda one: one[0].cancelled_at),
    ("recorded_at", "timestamptz", lambda one: one[0].recorded_at),
]
#: What may change of an order.
STANDINGS: Final[Updates[Order]] = Updates(
    table="orders",
    columns=[
        ("order_id", "text", lambda one: one.order_id),
        ("state", "text", lambda one: one.state),
        ("refunded_fen", "bigint", lambda one: one.refunded_fen),
        ("clawed_back_points", "bigint", lambda one: one.clawed_back_points),
        ("completed_at", "timestamptz", lambda one: one.completed_at),
        ("cancelled_at", "timestamptz", lambda one: one.cancelled_at),
    ],
)
REFUND_COLUMNS: Final[Sequence[Column[Refund]]] = [
    ("refund_id", "text", lambda one: one.facts.refund_id),
    ("order_id", "text", lambda one: one.facts.order_id),
    ("member_id", "text", lambda one: one.member_id),
    ("amount_fen", "bigint", lambda one: one.facts.amount_fen),
    ("items", "jsonb", lambda one: None if one.facts.items is None else _json(one.facts.items)),
    ("facts_hash", "bytea", lambda one: one.facts_hash),
    ("applied_fen", "bigint", lambda one: one.applied_fen),
    ("refunded_total_fen", "bigint", lambda one: one.refunded_total_fen),
    ("clawed_back_points", "bigint", lambda one: one.clawed_back_points),
    ("debt_points", "bigint", lambda one: one.debt_points),
    ("returned_points", "bigint", lambda one: one.returned_points),
    ("growth", "bigint", lambda one: one.growth),
    ("items_match", "boolean", lambda one: one.items_match),
    ("refunded_at", "timestamptz", lambda one: one.facts.refunded_at),
    ("recorded_at", "timestamptz", lambda one: one.recorded_at),
    ("applied_at", "timestamptz", lambda one: one.applied_at),
]
_CANCELLATIONS: Final[Sequence[Column[Cancellation]]] = [
    ("order_id", "text", lambda one: one.facts.order_id),
    ("member_id", "text", lambda one: one.member_id),
    ("reason", "text", lambda one: one.facts.reason),
    ("facts_hash", "bytea", lambda one: one.facts_hash),
    ("applied_fen", "bigint", lambda one: one.applied_fen),
    ("clawed_back_points", "bigint", lambda one: one.clawed_back_points),
    ("debt_points", "bigint", lambda one: one.debt_points),
    ("returned_points", "bigint", lambda one: one.returned_points),
    ("growth", "bigint", lambda one: one.growth),
    ("cancelled_at", "timestamptz", lambda one: one.facts.cancelled_at),
    ("recorded_at", "timestamptz", lambda one: one.recorded_at),
    ("applied_at", "timestamptz", lambda one: one.applied_at),
]
GROWTH_COLUMNS: Final[Sequence[Column[Order]]] = [
    ("member_id", "text", lambda one: one.member_id),
    ("cause_kind", "text", lambda _: "order"),
    ("cause_id", "text", lambda one: one.order_id),
    ("growth", "bigint", lambda one: kept(one).growth),
    ("programme_version", "int", lambda one: one.programme.version),
    ("occurred_at", "timestamptz", lambda one: one.paid_at),
]
_SPENT: Final[Updates[SpentPoints]] = Updates(
    table="redemptions",
    columns=[
        ("id", "text", lambda one: one.redemption_id),
        ("returned_points", "bigint", lambda one: one.returned),
    ],
)

ADDED_ORDERS: Final = Rows(table="orders", columns=ORDER_COLUMNS)
#: A refund's id is one order's for ever.
_SAVED_REFUNDS: Final = Rows(
    table="refunds",
    columns=REFUND_COLUMNS,
    conflict="""
      on conflict (refund_id) do update set member_id = excluded.member_id,
        applied_fen = excluded.applied_fen, refunded_total_fen = excluded.refunded_total_fen,
        clawed_back_points = excluded.clawed_back_points, debt_points = excluded.debt_points,
        returned_points = excluded.returned_points, growth = excluded.growth,
        items_match = excluded.items_match, applied_at = excluded.applied_at
      where refunds.order_id = excluded.order_id and refunds.applied_at is null
      returning refund_id
    """,
)
_CALLED_OFF: Final = Rows(
    table="order_cancellations",
    columns=_CANCELLATIONS,
    conflict="""
      on conflict (order_id) do update set member_id = excluded.member_id,
        applied_fen = excluded.applied_fen, clawed_back_points = excluded.clawed_back_points,
        debt_points = excluded.debt_points, returned_points = excluded.returned_points,
        growth = excluded.growth, applied_at = excluded.applied_at
    """,
)
GROWTH_ROWS: Final = Rows(
    table="growth_entries",
    columns=GROWTH_COLUMNS,
    conflict="""
      on conflict (member_id, cause_kind, cause_id) do update set growth = excluded.growth
    """,
)


def _statement() -> str:
    """All that may be changed, each in the same statement."""
    placeholders = Placeholders()
    updates, inserts = (STANDINGS, _SPENT), (ADDED_ORDERS, _SAVED_REFUNDS, _CALLED_OFF, GROWTH_ROWS)
    steps = [
        *(updating(placeholders, rows) for rows in updates),
        *(inserting(placeholders, rows) for rows in inserts),
    ]
    return f"with {', '.join(steps)} select count(*) from new_refunds"  # noqa: S608


_SAVE: Final = _statement()
_ADD_COMPLETION: Final = text(
    """
    insert into early_completions (order_id, completed_at, recorded_at)
    values (:order_id, :completed_at, :recorded_at)
    """
)


@dataclass(frozen=True, kw_only=True)
class OrderChanges:
    """What is to be saved of some orders; what is left out stays as it is."""

    added: Sequence[tuple[Order, OrderFacts]] = ()
    changed: Sequence[Order] = ()
    refunds: Sequence[Refund] = ()
    cancellations: Sequence[Cancellation] = ()
    #: Orders whose growth has changed.
    growth: Sequence[Order] = ()
    spent: Sequence[SpentPoints] = ()


async def save_orders(session: AsyncSession, changes: OrderChanges) -> bool:
    """Write changes of orders; False when the id of a refund belongs to another order."""
    arguments = [
        STANDINGS.argument(changes.changed),
        _SPENT.argument(changes.spent),
        ADDED_ORDERS.argument(changes.added),
        _SAVED_REFUNDS.argument(changes.refunds),
        _CALLED_OFF.argument(changes.cancellations),
        GROWTH_ROWS.argument(changes.growth),
    ]
    connection = await session.connection()
    saved = await connection.exec_driver_sql(_SAVE, tuple(arguments))
    return bool(saved.scalar_one() == len(changes.refunds))


async def add_early_completion(
    session: AsyncSession, *, order_id: str, completed_at: datetime, recorded_at: datetime
) -> None:
    """Keep that an order was received until the order itself is known."""
    await execute(
        session,
        _ADD_COMPLETION,
        {"order_id": order_id, "completed_at": completed_at, "recorded_at": recorded_at},
    )


def _json(items: Sequence[OrderItem]) -> str:
    return orjson.dumps(item_rows(items)).decode()
