"""What operators do to lots over HTTP: extend them, give lapsed points back."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.expiry_extensions import ExtensionReply, extension_reply
from services.loyalty.api.shapes import BalancesReply, balances_reply
from services.loyalty.operations.lots import Reinstated, extend_lots, reinstate_points
from services.loyalty.operations.replies import noting
from shared.http.fields import (
    LongReason,
    LotId,
    LotRef,
    MemberId,
    MemberRef,
    Moment,
    Points,
    ReplyModel,
    RequestModel,
)
from shared.http.writes import KeyedWrite, Reply

router = APIRouter(prefix="/v1/members/{member_id}/points", tags=["points"])

_MOST_LOTS: Final = 200
_LATER: Final = (
    "In the future; rounded up to the end of its business day in Asia/Shanghai. A day's first "
    "moment is the end of the day before, so write `23:59:59` of the last day"
)


class ExtensionsRequest(RequestModel):
    """Lots to be good for longer, until when and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"expires_at": "2027-12-31T23:59:59+08:00", "reason": "门店装修补偿"}]
        }
    )

    lot_ids: Annotated[
        list[LotId] | None,
        Field(
            min_length=1,
            max_length=_MOST_LOTS,
            description="All open lots that lapse before, with those of which points are held, "
            "if left out",
        ),
    ] = None
    expires_at: Annotated[Moment, Field(description=_LATER)]
    reason: LongReason


class ExtensionsReply(ReplyModel):
    """The lots that were extended."""

    member_id: MemberRef
    extensions: list[ExtensionReply]


class ReinstatementRequest(RequestModel):
    """Lapsed points to give back, until when they are good and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "lot_id": "lot_01kb0t6v3mvc8qd2x5n7h9r4ek",
                    "points": 100,
                    "expires_at": "2027-12-31T23:59:59+08:00",
                    "reason": "客户投诉：住院期间未能使用",
                }
            ]
        }
    )

    lot_id: LotId
    points: Annotated[Points | None, Field(description="All that lapsed, if left out")] = None
    expires_at: Annotated[
        Moment | None,
        Field(description=f"{_LATER}. As an extension from today, if left out"),
    ] = None
    reason: LongReason


class ReinstatementReply(ReplyModel):
    """Points given back to their lot, and the balances after. Debt was repaid from them first."""

    id: Annotated[str, Field(description="The reinstatement's id, a cause in the statement")]
    member_id: MemberRef
    lot_id: LotRef
    points: Annotated[int, Field(description="Given back")]
    debt_repaid: Annotated[int, Field(description="What of them repaid debt at once")]
    expires_at: Annotated[datetime | None, Field(description="When the lot lapses now")]
    balances: BalancesReply


@router.post(
    "/extensions",
    operation_id="extend_lots",
    status_code=201,
    response_model=ExtensionsReply,
    responses={
        404: {"description": "`member_not_found`"},
        409: {
            "description": "`lot_not_open`, `expiry_not_later`, `nothing_to_extend`,"
            " `member_merged`"
        },
    },
)
async def extend_lots_route(
    member_id: MemberId, body: ExtensionsRequest, write: KeyedWrite
) -> Response:
    """Move the expiry of lots later; never earlier. All of them or none. No balance changes."""
    return await write.run(
        lambda tx: noting(
            tx,
            extend_lots(
                tx,
                member_id=member_id,
                lot_ids=None if body.lot_ids is None else sorted(set(body.lot_ids)),
                expires_at=body.expires_at,
                reason=body.reason,
            ),
            kept_under=write.kept_under,
            about=lambda _: [member_id],
        ),
        reply=lambda kept: Reply(
            body=ExtensionsReply(
                member_id=member_id, extensions=[extension_reply(one) for one in kept]
            ),
            status=201,
        ),
    )


@router.post(
    "/reinstatements",
    operation_id="reinstate_points",
    status_code=201,
    response_model=ReinstatementReply,
    responses={
        404: {"description": "`member_not_found`; `not_found`: no such lot of the member"},
        409: {"description": "`more_than_lapsed`, `member_merged`, `balance_limit_reached`"},
    },
)
async def reinstate_points_route(
    member_id: MemberId, body: ReinstatementRequest, write: KeyedWrite
) -> Response:
    """Give lapsed points back to the lot they lapsed from, never more than lapsed."""
    return await write.run(
        lambda tx: reinstate_points(tx, member_id=member_id, **body.model_dump()),
        reply=lambda result: Reply(body=_reinstated(result, member_id=member_id), status=201),
    )


def _reinstated(result: Reinstated, *, member_id: str) -> ReinstatementReply:
    return ReinstatementReply(
        id=result.id,
        member_id=member_id,
        lot_id=result.lot.id,
        points=result.points,
        debt_repaid=result.repaid,
        expires_at=result.lot.expires_at,
        balances=balances_reply(result.balances),
    )
