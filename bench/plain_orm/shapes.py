"""Bodies and replies of the plain version, and classes for the tables that have none."""

from datetime import datetime

from pydantic import BaseModel

from services.loyalty.store.tables import metadata
from services.loyalty.store.tables.base import Table


class Item(BaseModel):
    """A line of an order."""

    sku: str
    category: str | None = None
    quantity: int
    paid_fen: int


class OrderIn(BaseModel):
    """A paid order."""

    order_id: str
    member_id: str
    paid_fen: int
    discount_fen: int = 0
    items: list[Item]
    channel: str | None = None
    paid_at: datetime
    payer_id: str | None = None


class OrderOut(BaseModel):
    """An order on record."""

    order_id: str
    member_id: str
    state: str
    paid_fen: int
    discount_fen: int
    refunded_fen: int
    earned_points: int
    growth: int
    tier: str
    paid_at: datetime
    recorded_at: datetime


class RedemptionIn(BaseModel):
    """Points to spend."""

    points: int
    purpose: str
    reference: str


class LotPart(BaseModel):
    """What a lot gave."""

    id: str
    points: int


class RedemptionOut(BaseModel):
    """Points spent and what is left."""

    id: str
    member_id: str
    state: str
    points: int
    purpose: str
    reference: str
    created_at: datetime
    available: int
    lots: list[LotPart]


class RefundIn(BaseModel):
    """Money of an order that went back."""

    refund_id: str
    amount_fen: int
    refunded_at: datetime


class RefundOut(BaseModel):
    """A refund and what it took."""

    refund_id: str
    order_id: str
    member_id: str
    amount_fen: int
    refunded_total_fen: int
    clawed_back_points: int
    growth: int
    refunded_at: datetime
    recorded_at: datetime


class IdempotencyKey:
    """A key and the reply given under it."""

    status: int
    media_type: str
    body: bytes


class EventSubject:
    """How many events a member has had."""

    version: int


class OutboxEvent:
    """A fact to be told."""


_registry = Table._sa_registry
for _class, _table in (
    (IdempotencyKey, "idempotency_keys"),
    (EventSubject, "event_subjects"),
    (OutboxEvent, "outbox"),
):
    _registry.map_imperatively(_class, metadata.tables[_table])
