"""Adjustments of points over HTTP: asked for, decided, listed."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.domain.adjustments import AdjustmentState, Decision
from services.loyalty.operations.adjustments import adjust_points, decide_adjustment
from services.loyalty.operations.replies import noting
from services.loyalty.store import adjustments as store
from services.loyalty.store.tables import Adjustment
from shared.http.fields import (
    Actor,
    AdjustmentId,
    MemberId,
    MemberRef,
    Reason,
    RecordedAt,
    ReplyModel,
    RequestModel,
    SignedPoints,
)
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.writes import KeyedWrite, Reply
from shared.kernel.errors import NotFound
from shared.kernel.paging import DEFAULT_PAGE, decode_cursor, encode_cursor, page_of

router = APIRouter(prefix="/v1", tags=["points"])


class AdjustmentRequest(RequestModel):
    """Points to give or take, and why."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"points": 500, "reason": "补偿：包裹延误"}]}
    )

    points: Annotated[SignedPoints, Field(description="To give; negative: to take. Not 0")]
    reason: Reason


class DecisionRequest(RequestModel):
    """What a second person says to an adjustment, and why."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"decision": "approve", "reason": "已核实工单"}]}
    )

    decision: Annotated[
        Decision, Field(description="`approve`: the points move now; `reject`: they never do")
    ]
    reason: Reason


class AdjustmentReply(ReplyModel):
    """Points that an operator gave or took, or wants to."""

    id: Annotated[str, Field(description="An adjustment's id")]
    member_id: MemberRef
    points: Annotated[int, Field(description="Given; negative: taken")]
    reason: str
    state: Annotated[
        AdjustmentState, Field(description="`awaiting_approval`: nothing has moved so far")
    ]
    requested_by: Actor
    created_at: RecordedAt
    decided_by: Annotated[str | None, Field(description="Null if one person was enough")]
    decision_reason: Annotated[str | None, Field(description="Why the second person decided so")]
    decided_at: datetime | None


@router.post(
    "/members/{member_id}/points/adjustments",
    operation_id="adjust_points",
    status_code=201,
    response_model=AdjustmentReply,
    responses={
        202: {"model": AdjustmentReply, "description": "A second person is to decide"},
        404: {"description": "`member_not_found`"},
        409: {"description": "`insufficient_points`, `member_merged`, `balance_limit_reached`"},
    },
)
async def adjust_points_route(
    member_id: MemberId, body: AdjustmentRequest, write: KeyedWrite
) -> Response:
    """Give or take points. Above the programme's limit nothing moves until another approves.

    The limit, 10,000 points by default, holds for all that one API key gives to and takes from a
    member on a business day without a second person, both counted up.
    """
    return await write.run(
        lambda tx: noting(
            tx,
            adjust_points(tx, member_id=member_id, points=body.points, reason=body.reason),
            kept_under=write.kept_under,
            about=lambda adjustment: [adjustment.member_id],
        ),
        reply=_asked,
    )


@router.get(
    "/points/adjustments",
    operation_id="list_adjustments",
    response_model=PageReply[AdjustmentReply],
)
async def list_adjustments(
    request: Request,
    state: Annotated[AdjustmentState | None, Query(description="Only those in this state")] = None,
    member_id: Annotated[MemberId | None, Query(description="Only this member's")] = None,
    limit: LimitQuery = DEFAULT_PAGE,
    cursor: CursorQuery = None,
) -> PageReply[AdjustmentReply]:
    """Adjustments, newest first; those in a state, or of a member, if wanted."""
    before = None if cursor is None else str(decode_cursor(cursor, str)[0])
    async with request.app.state.database.reading() as session:
        rows = await store.list_adjustments(
            session, state=state, member_id=member_id, before=before, limit=limit + 1
        )
    page = page_of(rows, limit=limit, mark=lambda row: encode_cursor(row.id))
    return PageReply(data=[_reply(row) for row in page.rows], next_cursor=page.next_cursor)


@router.get(
    "/points/adjustments/{adjustment_id}",
    operation_id="show_adjustment",
    response_model=AdjustmentReply,
    responses={404: {"description": "`not_found`: no such adjustment"}},
)
async def show_adjustment(adjustment_id: AdjustmentId, request: Request) -> AdjustmentReply:
    """One adjustment."""
    async with request.app.state.database.reading() as session:
        adjustment = await store.find_adjustment(session, adjustment_id=adjustment_id)
    if adjustment is None:
        raise NotFound
    return _reply(adjustment)


@router.post(
    "/points/adjustments/{adjustment_id}/decision",
    operation_id="decide_adjustment",
    response_model=AdjustmentReply,
    responses={
        403: {"description": "`second_person_needed`"},
        404: {"description": "`not_found`: no such adjustment; `member_not_found`"},
        409: {
            "description": "`adjustment_decided`, `insufficient_points`, `member_merged`, "
            "`balance_limit_reached`"
        },
    },
)
async def decide_adjustment_route(
    adjustment_id: AdjustmentId, body: DecisionRequest, write: KeyedWrite
) -> Response:
    """Approve or reject an adjustment that somebody else asked for. Counts once."""
    return await write.run(
        lambda tx: noting(
            tx,
            decide_adjustment(
                tx, adjustment_id=adjustment_id, decision=body.decision, reason=body.reason
            ),
            kept_under=write.kept_under,
            about=lambda adjustment: [adjustment.member_id],
        ),
        reply=lambda adjustment: Reply(body=_reply(adjustment)),
    )


def _asked(adjustment: Adjustment) -> Reply:
    waits = adjustment.state == "awaiting_approval"
    return Reply(body=_reply(adjustment), status=202 if waits else 201)


def _reply(adjustment: Adjustment) -> AdjustmentReply:
    return AdjustmentReply(**adjustment.model_dump())
