"""Refunds over HTTP."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.examples import REFUND, shown
from services.loyalty.api.orders import ItemRequest, items_of
from services.loyalty.domain.refunds import RefundFacts
from services.loyalty.operations.refunds import RecordedRefund, record_refund
from shared.http.fields import (
    ExternalId,
    Moment,
    OrderId,
    OrderRef,
    PositiveFen,
    RecordedAt,
    ReplyModel,
    RequestModel,
)
from shared.http.hot import HotKeyedWrite
from shared.http.hot_routes import HotRoute
from shared.http.writes import Reply
from shared.kernel.errors import InvalidField

hot_router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=HotRoute)


class RefundRequest(RequestModel):
    """Money of an order that went back, in whole or in part; by line when it names `items`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "refund_id": "RF-20261126-0001",
                    "amount_fen": 5900,
                    "items": [{"sku": "SERUM-30ML", "quantity": 1, "paid_fen": 5900}],
                    "refunded_at": "2026-11-26T10:00:00+08:00",
                }
            ]
        }
    )

    refund_id: Annotated[
        ExternalId, Field(description="The caller's own id of the refund; counts once")
    ]
    amount_fen: Annotated[PositiveFen, Field(description="What goes back of what was paid in cash")]
    items: Annotated[
        list[ItemRequest] | None,
        Field(
            max_length=200,
            description="The lines that went back, by SKU; their `paid_fen` add up to `amount_fen`",
        ),
    ] = None
    refunded_at: Annotated[Moment, Field(description="When the money went back")]


class RefundPoints(ReplyModel):
    """Points taken back, of which `debt` had been spent already, and spent points returned."""

    clawed_back: Annotated[int, Field(description="Points taken back, `debt` among them")]
    debt: Annotated[int, Field(description="Points that were spent already and are owed now")]
    returned: Annotated[
        int, Field(description="Points that had paid a part of the order, back in their lots")
    ]


class RefundReply(ReplyModel):
    """A refund. While its order is unknown it is `waiting`, and counts when the order comes."""

    refund_id: Annotated[str, Field(description="The caller's own id of the refund; counts once")]
    order_id: OrderRef
    member_id: Annotated[str | None, Field(description="Null while the order is unknown")]
    status: Annotated[
        Literal["applied", "waiting"], Field(description="`waiting`: the order is unknown so far")
    ]
    amount_fen: Annotated[int, Field(description="As it was reported")]
    applied_fen: Annotated[
        int | None,
        Field(description="What counted: a refund that came first is capped at what was paid"),
    ]
    refunded_total_fen: Annotated[int | None, Field(description="The order's refunds so far")]
    points: RefundPoints
    growth: Annotated[int, Field(description="Growth taken back")]
    items_match: Annotated[
        bool | None,
        Field(
            description="Whether the lines are the order's; false when the refund came first and "
            "named others, so that it counts by its amount. Null without lines or while it waits"
        ),
    ]
    refunded_at: Annotated[datetime, Field(description="When the money went back")]
    recorded_at: RecordedAt


@hot_router.post(
    "/{order_id}/refunds",
    operation_id="refund_order",
    status_code=201,
    response_model=RefundReply,
    responses={
        201: shown(REFUND),
        200: {"model": RefundReply, "description": "The refund is on record: what it did"},
        409: {
            "description": "`refund_exceeds_payment`, `refund_item_unknown`, "
            "`refund_item_exceeded`, `already_recorded_differently`"
        },
    },
)
async def refund_order(
    order_id: OrderId, body: RefundRequest, write: HotKeyedWrite, request: Request
) -> Response:
    """Record a refund, which takes back points and growth. It may come before its order.

    However the sum is split, by amount or by line, and in whatever order refunds come, the end is
    the same. Points that had paid a part of the order come back in proportion.
    """
    if body.items and sum(item.paid_fen for item in body.items) != body.amount_fen:
        raise InvalidField(pointer="/amount_fen", reason="items_do_not_add_up")
    facts = RefundFacts(
        refund_id=body.refund_id,
        order_id=order_id,
        amount_fen=body.amount_fen,
        items=items_of(body.items) if body.items else None,
        refunded_at=body.refunded_at,
    )
    return await write.run(
        request.app.state.refunds,
        facts,
        reply=_reply,
        otherwise=lambda tx: record_refund(tx, facts=facts),
    )


def _reply(recorded: RecordedRefund) -> Reply:
    refund = recorded.refund
    body = RefundReply(
        refund_id=refund.facts.refund_id,
        order_id=refund.facts.order_id,
        member_id=refund.member_id,
        status="waiting" if refund.applied_fen is None else "applied",
        amount_fen=refund.facts.amount_fen,
        applied_fen=refund.applied_fen,
        refunded_total_fen=refund.refunded_total_fen,
        points=RefundPoints(
            clawed_back=refund.clawed_back_points or 0,
            debt=refund.debt_points or 0,
            returned=refund.returned_points or 0,
        ),
        growth=refund.growth or 0,
        items_match=refund.items_match,
        refunded_at=refund.facts.refunded_at,
        recorded_at=refund.recorded_at,
    )
    return Reply(body=body, status=200 if recorded.repeated else 201)
