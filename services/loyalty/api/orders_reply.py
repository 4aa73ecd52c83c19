"""How orders are replied."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from services.loyalty.api.shapes import OrderPoints, TierName, tier_name
from services.loyalty.domain.orders import Order, OrderState, kept
from services.loyalty.domain.refunds import pieces_refunded
from services.loyalty.store.orders import OrderRecord
from shared.http.fields import ReplyModel
from shared.kernel.texts import Language


class OrderReply(ReplyModel):
    """An order. `growth` is what it gives after refunds; `tier` where it left the member."""

    order_id: str
    member_id: str
    state: OrderState
    paid_fen: int
    discount_fen: int
    refunded_fen: int
    points: OrderPoints
    growth: int
    tier: Annotated[TierName | None, Field(description="Null for an imported order")]
    paid_at: datetime
    completed_at: datetime | None
    cancelled_at: datetime | None
    recorded_at: datetime


class OrderLine(ReplyModel):
    """One line of an order; `refunded_quantity` is what refunds by line took back of its SKU."""

    sku: str
    category: str | None
    quantity: int
    paid_fen: int
    refunded_quantity: int


class OrderDetail(OrderReply):
    """An order with its lines."""

    items: list[OrderLine]


class WaitingReply(ReplyModel):
    """That an order was received, kept until the order itself is known."""

    order_id: str
    status: Literal["waiting"] = "waiting"
    completed_at: datetime


def order_reply(order: Order, *, now: datetime, language: Language) -> OrderReply:
    """An order as it stands."""
    tier = order.tier_at_recording
    available_at = order.available_at
    released = available_at is not None and available_at <= now
    return OrderReply(
        order_id=order.order_id,
        member_id=order.member_id,
        state=order.state,
        paid_fen=order.paid_fen,
        discount_fen=order.discount_fen,
        refunded_fen=order.refunded_fen,
        points=OrderPoints(
            earned=order.earned_points,
            clawed_back=order.clawed_back_points,
            status="available" if released else "pending",
            available_at=available_at,
            expires_at=order.expires_at,
        ),
        growth=kept(order).growth,
        tier=None if tier is None else tier_name(order.programme, tier, language=language),
        paid_at=order.paid_at,
        completed_at=order.completed_at,
        cancelled_at=order.cancelled_at,
        recorded_at=order.recorded_at,
    )


def order_lines(record: OrderRecord) -> list[OrderLine]:
    """An order's lines; what went back of a SKU is counted on its first lines."""
    assert record.order is not None
    gone = pieces_refunded(record.counted)
    lines = []
    for item in record.order.items:
        refunded = min(gone[item.sku], item.quantity)
        gone[item.sku] -= refunded
        lines.append(
            OrderLine(
                sku=item.sku,
                category=item.category,
                quantity=item.quantity,
                paid_fen=item.paid_fen,
                refunded_quantity=refunded,
            )
        )
    return lines
