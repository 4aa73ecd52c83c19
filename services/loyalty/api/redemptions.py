"""Redemptions over HTTP: points spent, shown, cancelled."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.examples import REDEMPTION, shown
from services.loyalty.api.shapes import BalancesReply, LotPart, balances_reply
from services.loyalty.domain.ledger import Balances
from services.loyalty.domain.lots import Allocation
from services.loyalty.domain.redemptions import RedemptionState
from services.loyalty.operations.cancellations import cancel_redemption
from services.loyalty.operations.redemptions import Redeemed, RedeemPoints, redeem_points
from services.loyalty.store.redemptions import find_redemption
from services.loyalty.store.tables import Redemption
from shared.http.fields import (
    ExternalId,
    Line,
    MemberId,
    MemberRef,
    Points,
    Reason,
    RecordedAt,
    RedemptionId,
    ReplyModel,
    RequestModel,
)
from shared.http.hot import HotKeyedWrite
from shared.http.hot_routes import HotRoute
from shared.http.writes import KeyedWrite, Reply
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

    points: Annotated[Points, Field(description="How many to spend, or to hold")]
    purpose: Annotated[Line, Field(description="Such as `checkout`, `voucher` or `gift`")]
    reference: Annotated[
        ExternalId,
        Field(
            description="The caller's id of what it is spent on. It need not be unique: what keeps "
            "a repeated request from spending twice is its Idempotency-Key"
        ),
    ]


class RedemptionCancellationRequest(RequestModel):
    """Why spent points go back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "顾客改主意"}]})

    reason: Reason | None = None


class RedemptionReply(ReplyModel):
    """Points that were spent, or are held to be."""

    id: Annotated[str, Field(description="A redemption's id; a hold has one, too")]
    member_id: MemberRef
    state: Annotated[
        RedemptionState,
        Field(
            description="`held`: set aside; `redeemed`: spent; `released`: a hold given back; "
            "`cancelled`: spent points given back"
        ),
    ]
    points: Annotated[int, Field(description="As many as were spent or held at first")]
    returned_points: Annotated[int, Field(description="How many of them are back in their lots")]
    purpose: Annotated[str, Field(description="Such as `checkout`, `voucher` or `gift`")]
    reference: Annotated[str, Field(description="The caller's id of what it is for")]
    hold_expires_at: Annotated[datetime | None, Field(description="Null if never a hold")]
    created_at: RecordedAt
    closed_at: Annotated[
        datetime | None,
        Field(description="When it came to its state; null while the points are held"),
    ]


class NewRedemptionReply(RedemptionReply):
    """Points just spent, the lots that paid, and what is left."""

    balances: BalancesReply
    lots: Annotated[list[LotPart], Field(description="The lots that paid")]


@hot_router.post(
    "/members/{member_id}/points/redemptions",
    operation_id="redeem_points",
    status_code=201,
    response_model=NewRedemptionReply,
    responses={
        201: shown(REDEMPTION),
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
    responses={404: {"description": "`not_found`: no such redemption"}},
)
async def show_redemption(redemption_id: RedemptionId, request: Request) -> RedemptionReply:
    """One redemption."""
    async with request.app.state.database.reading() as session:
        redemption = await find_redemption(session, redemption_id=redemption_id)
    if redemption is None:
        raise NotFound
    return redemption_reply(redemption)


@router.post(
    "/points/redemptions/{redemption_id}/cancellation",
    operation_id="cancel_redemption",
    response_model=RedemptionReply,
    responses={
        404: {"description": "`not_found`: no such redemption; `member_not_found`"},
        409: {
            "description": "`redemption_held`, `redemption_closed`, `redemption_of_checkout`, "
            "`member_merged`"
        },
    },
)
async def cancel_redemption_route(
    redemption_id: RedemptionId,
    write: KeyedWrite,
    body: RedemptionCancellationRequest | None = None,
) -> Response:
    """Give spent points back to the lots that paid, with the expiry they had. Counts once."""
    reason = None if body is None else body.reason
    return await write.run(
        lambda tx: cancel_redemption(tx, redemption_id=redemption_id, reason=reason),
        reply=lambda redemption: Reply(body=redemption_reply(redemption)),
    )


def redemption_reply(redemption: Redemption) -> RedemptionReply:
    """A redemption as it stands."""
    return RedemptionReply(**_fields(redemption))


def new_redemption_reply(
    redemption: Redemption, *, balances: Balances, lots: Sequence[Allocation]
) -> NewRedemptionReply:
    """A redemption as it was made."""
    return NewRedemptionReply(
        **_fields(redemption),
        balances=balances_reply(balances),
        lots=[LotPart(id=part.lot_id, points=part.points) for part in lots],
    )


def _new(redeemed: Redeemed) -> Reply:
    spent = redeemed.redemption
    body = NewRedemptionReply(
        id=spent.id,
        member_id=spent.member_id,
        state="redeemed",
        points=spent.points,
        returned_points=0,
        purpose=spent.purpose,
        reference=spent.reference,
        hold_expires_at=None,
        created_at=spent.created_at,
        closed_at=spent.created_at,
        balances=balances_reply(redeemed.balances),
        lots=[LotPart(id=part.lot_id, points=part.points) for part in redeemed.lots],
    )
    return Reply(body=body, status=201)


def _fields(redemption: Redemption) -> dict[str, Any]:
    return redemption.model_dump(include=set(RedemptionReply.model_fields))
