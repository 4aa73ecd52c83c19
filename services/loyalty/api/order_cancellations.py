"""Cancellations of orders over HTTP."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.refunds import RefundPoints
from services.loyalty.domain.order_cancellations import CancellationFacts
from services.loyalty.operations.order_cancellations import RecordedCancellation, cancel_order
from services.loyalty.operations.replies import noting
from shared.http.fields import (
    LongReason,
    Moment,
    OrderId,
    OrderRef,
    RecordedAt,
    ReplyModel,
    RequestModel,
)
from shared.http.writes import KeyedWrite, Reply

router = APIRouter(prefix="/v1/orders", tags=["orders"])


class OrderCancellationRequest(RequestModel):
    """An order was called off."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"cancelled_at": "2026-11-24T09:15:00+08:00", "reason": "缺货"}]
        }
    )

    cancelled_at: Annotated[Moment, Field(description="When the order was called off")]
    reason: LongReason | None = None


class CancellationReply(ReplyModel):
    """A cancellation. While its order is unknown it is `waiting`, and counts once that comes."""

    order_id: OrderRef
    member_id: Annotated[str | None, Field(description="Null while the order is unknown")]
    status: Annotated[
        Literal["applied", "waiting"], Field(description="`waiting`: the order is unknown so far")
    ]
    applied_fen: Annotated[
        int | None, Field(description="What had not gone back before; null while it waits")
    ]
    points: RefundPoints
    growth: Annotated[int, Field(description="Growth taken back")]
    reason: str | None
    cancelled_at: Annotated[datetime, Field(description="When the order was called off")]
    recorded_at: RecordedAt


@router.post(
    "/{order_id}/cancellation",
    operation_id="cancel_order",
    status_code=201,
    response_model=CancellationReply,
    responses={
        200: {
            "model": CancellationReply,
            "description": "The cancellation is on record: what it did",
        },
        409: {"description": "`already_recorded_differently`"},
    },
)
async def cancel_order_route(
    order_id: OrderId, body: OrderCancellationRequest, write: KeyedWrite
) -> Response:
    """Cancel an order: all that is kept of it goes back, as by a refund. It may come before it.

    Points that paid a part of it return to their lots, used vouchers to the wallet. A refund that
    is reported later is taken and counts for nothing more.
    """
    facts = CancellationFacts(order_id=order_id, reason=body.reason, cancelled_at=body.cancelled_at)
    return await write.run(
        lambda tx: noting(
            tx, cancel_order(tx, facts=facts), kept_under=write.kept_under, about=_about
        ),
        reply=_reply,
    )


def _about(recorded: RecordedCancellation) -> list[str]:
    one = recorded.cancellation
    return [one.member_id or one.facts.order_id] if one.facts.reason else []


def _reply(recorded: RecordedCancellation) -> Reply:
    one = recorded.cancellation
    body = CancellationReply(
        order_id=one.facts.order_id,
        member_id=one.member_id,
        status="waiting" if one.applied_at is None else "applied",
        applied_fen=one.applied_fen,
        points=RefundPoints(
            clawed_back=one.clawed_back_points or 0,
            debt=one.debt_points or 0,
            returned=one.returned_points or 0,
        ),
        growth=one.growth or 0,
        reason=one.facts.reason,
        cancelled_at=one.facts.cancelled_at,
        recorded_at=one.recorded_at,
    )
    return Reply(body=body, status=200 if recorded.repeated else 201)
