"""One member's measures, scores and segments over HTTP, now or as of a past day."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field

from services.segmentation.api.days import AsOfQuery, past_day
from services.segmentation.clients.loyalty import LoyaltyMembers
from services.segmentation.domain.rfm import State
from services.segmentation.domain.scoring import Method, Reason
from services.segmentation.domain.segments import Group, Segment, Segment11
from services.segmentation.store.overviews import (
    MemberOverview,
    live_member,
    newcomer,
    past_member,
)
from shared.db import Database
from shared.http.fields import ReplyModel, id_pattern
from shared.kernel.clock import Clock, business_day
from shared.kernel.errors import NotFound

router = APIRouter(prefix="/v1/members", tags=["segments"])

MemberIdPath = Annotated[str, Path(pattern=id_pattern("mem"))]


class MemberSegmentReply(ReplyModel):
    """Where a member stands. Only active members have scores, 1 to 5, 5 the best."""

    member_id: str
    as_of: date = Field(description="To the end of this business day")
    state: State
    recency_days: int | None = Field(
        description="Since the last valid order; null for a member who never bought"
    )
    frequency: int = Field(description="Orders within 365 days")
    monetary_fen: int = Field(description="Paid and kept in them, after refunds")
    r: int | None
    f: int | None
    m: int | None
    segment: Segment
    segment_11: Segment11
    group: Group | None
    method: Method
    reason: Reason


@router.get(
    "/{member_id}/segment",
    operation_id="show_member_segment",
    response_model=MemberSegmentReply,
    responses={
        404: {"description": "There is no such member"},
        422: {"description": "The day has not come yet"},
    },
)
async def show_member_segment(
    request: Request, member_id: MemberIdPath, as_of: AsOfQuery = None
) -> MemberSegmentReply:
    """Recency, frequency and monetary value of a member, the scores, and the segments."""
    database: Database = request.app.state.database
    clock: Clock = request.app.state.clock
    now = clock.now()
    today = business_day(now)
    day = past_day(as_of, today=today)
    async with database.reading() as session:
        if day is None:
            found = await live_member(session, member_id=member_id, today=today)
        else:
            found = await past_member(session, member_id=member_id, as_of=day, now=now)
    if found is None:
        found = await _newcomer(request, member_id=member_id, as_of=day or today)
    return _reply(found, member_id=member_id)


async def _newcomer(request: Request, *, member_id: str, as_of: date) -> MemberOverview:
    """A member just enrolled, of whom the event is still on its way. Raises NotFound, LoyaltyAway.

    Loyalty is asked with no session open, so that waiting for it holds no connection.
    """
    loyalty: LoyaltyMembers = request.app.state.loyalty
    database: Database = request.app.state.database
    if not await loyalty.is_member(member_id=member_id):
        raise NotFound
    async with database.reading() as session:
        return await newcomer(session, as_of=as_of)


def _reply(found: MemberOverview, *, member_id: str) -> MemberSegmentReply:
    measures, scores = found.standing.measures, found.standing.scores
    classification, thresholds = found.standing.classification, found.threshold_set.thresholds
    return MemberSegmentReply(
        member_id=member_id,
        as_of=found.as_of,
        state=measures.state,
        recency_days=measures.recency_days,
        frequency=measures.frequency,
        monetary_fen=measures.monetary_fen,
        r=scores.r if scores else None,
        f=scores.f if scores else None,
        m=scores.m if scores else None,
        segment=classification.segment,
        segment_11=classification.segment_11,
        group=classification.group,
        method=thresholds.method,
        reason=thresholds.reason,
    )
