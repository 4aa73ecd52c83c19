"""Orders and refunds as the storefront reports them."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, text
from sqlmodel import Field

from services.loyalty.store.tables.base import Table, amount, document, flag, moment, words


class Order(Table, table=True):
    """A paid order. Its id counts once, for ever."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint(
            "state in ('paid', 'completed', 'cancelled', 'refunded')", name="order_state"
        ),
        CheckConstraint("paid_fen >= 0 and discount_fen >= 0", name="order_amounts"),
        CheckConstraint("refunded_fen >= 0 and refunded_fen <= paid_fen", name="order_refunded"),
        Index("orders_by_member", "member_id", "paid_at"),
    )

    order_id: str = words(primary_key=True)
    member_id: str = words()
    state: str = words()
    paid_fen: int = amount()
    discount_fen: int = amount(0)
    #: Sum of the refunds, at most what was paid.
    refunded_fen: int = amount(0)
    items: list[dict[str, Any]] = document()
    channel: str | None = words(null=True)
    reservation_id: str | None = words(null=True)
    device_id: str | None = words(null=True)
    payer_hash: str | None = words(null=True)
    #: SHA-256 of the reported facts: the same id with others is refused.
    facts_hash: bytes = Field(sa_type=LargeBinary)
    #: The rules and the tier multiplier (in hundredths) under which it earned.
    programme_version: int
    multiplier_percent: int
    earned_points: int = amount(0)
    clawed_back_points: int = amount(0)
    growth: int = amount(0)
    #: What the first reply told, so that it can be told again; None for imported orders.
    tier_at_recording: str | None = words(null=True)
    refunded_at_recording_fen: int | None = amount(null=True)
    #: Whether its completion and its cancellation came before it did.
    came_completed: bool = flag()
    came_cancelled: bool = flag()
    import_id: str | None = words(null=True)
    paid_at: datetime = moment()
    completed_at: datetime | None = moment(null=True)
    cancelled_at: datetime | None = moment(null=True)
    recorded_at: datetime = moment()


class EarlyCompletion(Table, table=True):
    """That an order was received, reported before the order itself."""

    __tablename__ = "early_completions"

    order_id: str = words(primary_key=True)
    completed_at: datetime = moment()
    recorded_at: datetime = moment()


class OrderCancellation(Table, table=True):
    """That an order was called off, once. It may be reported before its order."""

    __tablename__ = "order_cancellations"
    __table_args__ = (
        Index(
            "order_cancellations_waiting", "order_id", postgresql_where=text("applied_at is null")
        ),
    )

    order_id: str = words(primary_key=True)
    #: None while the order is unknown.
    member_id: str | None = words(null=True)
    reason: str | None = words(null=True)
    facts_hash: bytes = Field(sa_type=LargeBinary)
    #: What had not gone back before, and what it took and gave back. None while the order is
    #: unknown.
    applied_fen: int | None = amount(null=True)
    clawed_back_points: int | None = amount(null=True)
    debt_points: int | None = amount(null=True)
    returned_points: int | None = amount(null=True)
    growth: int | None = amount(null=True)
    cancelled_at: datetime = moment()
    recorded_at: datetime = moment()
    applied_at: datetime | None = moment(null=True)


class Refund(Table, table=True):
    """Money of an order that went back. It may be reported before its order."""

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="refund_amount"),
        Index("refunds_by_order", "order_id"),
        Index("refunds_waiting", "order_id", postgresql_where=text("applied_at is null")),
    )

    refund_id: str = words(primary_key=True)
    order_id: str = words()
    #: None while the order is unknown.
    member_id: str | None = words(null=True)
    amount_fen: int = amount()
    items: list[dict[str, Any]] | None = document(null=True)
    facts_hash: bytes = Field(sa_type=LargeBinary)
    #: How much of it counted (a refund that came before its order is capped at what was paid),
    #: and the order's refunds so far. None while the order is unknown, as are the next three.
    applied_fen: int | None = amount(null=True)
    refunded_total_fen: int | None = amount(null=True)
    #: What it took back, and what it gave back of points that had paid.
    clawed_back_points: int | None = amount(null=True)
    debt_points: int | None = amount(null=True)
    returned_points: int | None = amount(null=True)
    growth: int | None = amount(null=True)
    #: Whether its lines are the order's: one that came first and named others counts by amount.
    items_match: bool | None = Field(default=None)
    refunded_at: datetime = moment()
    recorded_at: datetime = moment()
    applied_at: datetime | None = moment(null=True)
