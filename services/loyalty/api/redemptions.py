"""Redemptions over HTTP."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.shapes import BalancesReply, LotPart, balances_reply
from services.loyalty.operations.redemptions import Redeemed, RedeemPoints, redeem_points
from services.loyalty.store.redemptions import find_redemption
from services.loyalty.store.tables import Redemption
from shared.http.fields import (
    ExternalId,
    Line,
    MemberId,
    Points,
    RedemptionId,
    ReplyModel,
    RequestModel,
)
from shared.http.hot import HotKeyedWrite, HotRoute
from shared.http.writes import Reply
from shared.kernel.errors import NotFound

router = APIRouter(prefix="/v1", tags=["points"])
hot_router = APIRouter(prefix="/v1", tags=["points"], route_class=HotRoute)


class RedemptionRequest(RequestModel):
    """Points to spend, and on what."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"points": 100, "purpose": "checkout", "reference": "SO-20261125-0007"}]
        }
    )

    points: Points
    purpose: Annotated[Line, Field(description="Such as `checkout`, `voucher` or `gift`")]
    reference: Annotated[ExternalId, Field(description="The caller's id of what it is spent on")]


class RedemptionReply(ReplyModel):
    """Points that were spent."""

    id: str
    member_id: str
    state: str
    points: int
    purpose: str
    reference: str
    created_at: datetime


class NewRedemptionReply(RedemptionReply):
    """Points just spent, the lots that paid, and what is left."""

    balances: BalancesReply
    lots: list[LotPart]


@hot_router.post(
    "/members/{member_id}/points/redemptions",
    operation_id="redeem_points",
    status_code=201,
    response_model=NewRedemptionReply,
    responses={
        404: {"description": "`member_not_found`"},
        409: {"description": "`insufficient_points`, `member_merged`"},
    },
)
async def redeem_points_route(
    member_id: MemberId, body: RedemptionRequest, write: HotKeyedWrite, request: Request
) -> Response:
    """Spend points: those that lapse soonest first. All or nothing."""
    command = RedeemPoints(
        member_id=member_id,
        points=body.points,
        purpose=body.purpose,
        reference=body.reference,
    )
    return await write.run(
        request.app.state.redemptions,
        command,
        reply=_new,
        otherwise=lambda transaction: redeem_points(transaction, command=command),
    )


@router.get(
    "/points/redemptions/{redemption_id}",
    operation_id="show_redemption",
    response_model=RedemptionReply,
    responses={404: {"description": "No such redemption"}},
)
async def show_redemption(redemption_id: RedemptionId, request: Request) -> RedemptionReply:
    """One redemption."""
    async with request.app.state.database.reading() as session:
        redemption = await find_redemption(session, redemption_id=redemption_id)
    if redemption is None:
        raise NotFound
    return RedemptionReply(**_fields(redemption))


def _new(redeemed: Redeemed) -> Reply:
    spent = redeemed.redemption
    body = NewRedemptionReply(
        id=spent.id,
        member_id=spent.member_id,
        state="redeemed",
        points=spent.points,
        purpose=spent.purpose,
        reference=spent.reference,
        created_at=spent.created_at,
        balances=balances_reply(redeemed.balances),
        lots=[LotPart(id=part.lot_id, points=part.points) for part in redeemed.lots],
    )
    return Reply(body=body, status=201)


def _fields(redemption: Redemption) -> dict[str, Any]:
    return redemption.model_dump(
        include={"id", "member_id", "state", "points", "purpose", "reference", "created_at"}
    )
