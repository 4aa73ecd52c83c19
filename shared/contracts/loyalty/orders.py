"""Events about orders. The subject is the member."""

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from shared.contracts.envelope import EventData


class OrderPaid(EventData):
    """An order was recorded as paid. `payer_id` is a keyed hash, not the payer's own id."""

    type: ClassVar[str] = "order.paid.v1"

    order_id: str
    member_id: str
    paid_fen: int
    discount_fen: int = 0
    paid_at: datetime
    channel: str | None = None
    device_id: str | None = None
    payer_hash: str | None = None


class OrderCompleted(EventData):
    """The customer confirmed that the order was received."""

    type: ClassVar[str] = "order.completed.v1"

    order_id: str
    member_id: str
    completed_at: datetime


class OrderRefunded(EventData):
    """Money of an order went back. One event for each refund, after its order is known."""

    type: ClassVar[str] = "order.refunded.v1"

    order_id: str
    refund_id: str
    member_id: str
    amount_fen: int
    #: All refunds of the order so far, this one included, at most what was paid.
    refunded_total_fen: int
    #: Whether nothing that was paid is kept.
    in_full: bool
    refunded_at: datetime


class OrderCancelled(EventData):
    """An order was called off. What had not gone back before is told by an OrderRefunded as well.

    That one's `refund_id` is `cancellation/<order id>`, which no storefront's refund can be called.
    """

    type: ClassVar[str] = "order.cancelled.v1"

    order_id: str
    member_id: str
    cancelled_at: datetime


class ImportedOrder(BaseModel):
    """One order of an imported history."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    order_id: str
    member_id: str
    paid_fen: int
    refunded_fen: int = 0
    paid_at: datetime


class OrdersImported(EventData):
    """Some orders of an imported history. The subject is the import."""

    type: ClassVar[str] = "orders.imported.v1"

    import_id: str
    orders: list[ImportedOrder]
