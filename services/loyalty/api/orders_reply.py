"""How orders are replied."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from services.loyalty.api.shapes import Growth, OrderPoints, TierName, tier_name
from services.loyalty.domain.orders import Order, OrderState, kept
from services.loyalty.domain.refunds import pieces_refunded
from services.loyalty.store.orders import OrderRecord
from shared.http.fields import MemberRef, OrderRef, RecordedAt, ReplyModel
from shared.kernel.texts import Language


class OrderReply(ReplyModel):
    """An order. `growth` is what it gives after refunds; `tier` where it left the member."""

    order_id: OrderRef
    member_id: MemberRef
    state: Annotated[
        OrderState,
        Field(
            description="`refunded`: in full. A later one outweighs those before: `paid`, "
            "`completed`, `refunded`, `cancelled`"
        ),
    ]
    paid_fen: Annotated[int, Field(description="Paid in cash, after all discounts")]
    discount_fen: Annotated[
        int, Field(description="Taken off the price; with `paid_fen` it is the gross")
    ]
    refunded_fen: Annotated[
        int, Field(description="What went back of `paid_fen`; all of it once cancelled")
    ]
    points: OrderPoints
    growth: Growth
    tier: Annotated[TierName | None, Field(description="Null for an imported order")]
    paid_at: Annotated[datetime, Field(description="When it was paid")]
    completed_at: Annotated[datetime | None, Field(description="When receipt was confirmed")]
    cancelled_at: Annotated[datetime | None, Field(description="When the order was called off")]
    recorded_at: RecordedAt


class OrderLine(ReplyModel):
    """One line of an order; `refunded_quantity` is what refunds by line took back of its SKU."""

    sku: Annotated[str, Field(description="The storefront's own id of the article")]
    category: Annotated[
        str | None, Field(description="The storefront's own category of the article")
    ]
    quantity: Annotated[int, Field(description="Pieces")]
    paid_fen: Annotated[int, Field(description="Paid for the whole line")]
    refunded_quantity: Annotated[int, Field(description="Pieces that went back")]


class OrderDetail(OrderReply):
    """An order with its lines."""

    items: list[OrderLine]


class WaitingReply(ReplyModel):
    """That an order was received, kept until the order itself is known."""

    order_id: OrderRef
    status: Literal["waiting"] = "waiting"
    completed_at: Annotated[datetime, Field(description="When receipt was confirmed")]


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
