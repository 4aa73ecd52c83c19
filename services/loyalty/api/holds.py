"""Holds of points over HTTP: made, captured, released."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.redemptions import (
    NewRedemptionReply,
    RedemptionReply,
    RedemptionRequest,
    new_redemption_reply,
    redemption_reply,
)
from services.loyalty.operations.holds import Held, capture_hold, hold_points, release_hold
from shared.http.fields import ExternalId, MemberId, Points, RedemptionId, RequestModel
from shared.http.writes import KeyedWrite, Reply

router = APIRouter(prefix="/v1", tags=["points"])

_MINUTES_MAX = 7 * 24 * 60


class HoldRequest(RedemptionRequest):
    """Points to hold, for what and for how long."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"points": 100, "purpose": "gift", "reference": "G-7", "minutes": 30}]
        }
    )

    reference: Annotated[
        ExternalId,
        Field(
            description="The caller's id of what it is for. While points are held for the same "
            "purpose and reference, asking again answers with that hold"
        ),
    ]
    minutes: Annotated[
        int | None,
        Field(
            ge=1,
            le=_MINUTES_MAX,
            description="The programme's default, 15 unless it says otherwise, if left out",
        ),
    ] = None


class CaptureRequest(RequestModel):
    """How many of the held points to spend."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"points": 80}]})

    points: Annotated[Points | None, Field(description="All if left out; the rest goes back")] = (
        None
    )


@router.post(
    "/members/{member_id}/points/holds",
    operation_id="hold_points",
    status_code=201,
    response_model=NewRedemptionReply,
    responses={
        200: {"model": NewRedemptionReply, "description": "Held before, for the same"},
        404: {"description": "`member_not_found`"},
        409: {"description": "`insufficient_points`, `already_held`, `member_merged`"},
    },
)
async def hold_points_route(member_id: MemberId, body: HoldRequest, write: KeyedWrite) -> Response:
    """Reserve points until they are captured, released, or the time is up.

    As long as points are held for a purpose and reference, asking again answers with that hold.
    """
    return await write.run(
        lambda tx: hold_points(
            tx,
            member_id=member_id,
            points=body.points,
            purpose=body.purpose,
            reference=body.reference,
            minutes=body.minutes,
        ),
        reply=_held,
    )


@router.post(
    "/points/redemptions/{redemption_id}/capture",
    operation_id="capture_hold",
    response_model=RedemptionReply,
    responses={
        404: {"description": "`not_found`: no such redemption; `member_not_found`"},
        409: {
            "description": "`hold_expired`, `redemption_closed`, `capture_exceeds_hold`, "
            "`redemption_of_checkout`, `member_merged`"
        },
    },
)
async def capture_hold_route(
    redemption_id: RedemptionId, write: KeyedWrite, body: CaptureRequest | None = None
) -> Response:
    """Spend held points, all or some; the rest goes back to the lots it came from."""
    points = None if body is None else body.points
    return await write.run(
        lambda tx: capture_hold(tx, redemption_id=redemption_id, points=points),
        reply=lambda redemption: Reply(body=redemption_reply(redemption)),
    )


@router.post(
    "/points/redemptions/{redemption_id}/release",
    operation_id="release_hold",
    response_model=RedemptionReply,
    responses={
        404: {"description": "`not_found`: no such redemption"},
        409: {"description": "`redemption_closed`, `redemption_of_checkout`"},
    },
)
async def release_hold_route(redemption_id: RedemptionId, write: KeyedWrite) -> Response:
    """Give held points back to the lots they came from."""
    return await write.run(
        lambda tx: release_hold(tx, redemption_id=redemption_id),
        reply=lambda redemption: Reply(body=redemption_reply(redemption)),
    )


def _held(held: Held) -> Reply:
    body = new_redemption_reply(held.redemption, balances=held.balances, lots=held.lots)
    return Reply(body=body, status=201 if held.new else 200)
