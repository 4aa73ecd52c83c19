"""Segments over HTTP: each with its size and value, now or as of a past day."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from services.segmentation.api.days import AsOfQuery, past_day
from services.segmentation.domain.scoring import Method, Reason
from services.segmentation.domain.sizes import NO_GROUP, Scheme, Size
from services.segmentation.domain.standings import ThresholdSet
from services.segmentation.store.overviews import Overview, live_overview, past_overview
from shared.db import Database
from shared.http.fields import ReplyModel
from shared.http.problems import request_language
from shared.kernel.clock import Clock, business_day
from shared.kernel.texts import Language, text

router = APIRouter(prefix="/v1/segments", tags=["segments"])

SchemeQuery = Annotated[
    Scheme,
    Query(description="The classic eight, the finer eleven, or the working groups of operations"),
]


class SegmentReply(ReplyModel):
    """One segment, its members, and what they bought within the window of 365 days."""

    code: str
    name: str
    action: str | None = Field(description="What operations do with it; for groups only")
    size: int = Field(description="Members")
    share: float = Field(description="Of all members, 0 to 1")
    orders: int
    monetary_fen: int = Field(description="Paid and kept after refunds")
    average_order_fen: int | None = Field(description="客单价; null without orders")


class ThresholdsReply(ReplyModel):
    """Cut points from worst to best; a score is one more than the number of cuts beaten."""

    as_of: date
    method: Method
    reason: Reason = Field(description="Why this method; fixed cuts serve too small populations")
    population: int = Field(description="Active members")
    recency_cuts_days: list[int]
    frequency_cuts: list[int]
    monetary_cuts_fen: list[int]


class SegmentsReply(ReplyModel):
    """All segments of a scheme. The sizes sum to all members; the list has one page."""

    as_of: date
    scheme: Scheme
    members: int
    unscored: int = Field(
        description="Members with imported orders that the next run will count in"
    )
    thresholds: ThresholdsReply
    data: list[SegmentReply]
    next_cursor: None = None


@router.get(
    "",
    operation_id="list_segments",
    response_model=SegmentsReply,
    responses={422: {"description": "The day has not come yet"}},
)
async def list_segments(
    request: Request, as_of: AsOfQuery = None, scheme: SchemeQuery = Scheme.segment
) -> SegmentsReply:
    """Every segment with its size and value, those without members too."""
    database: Database = request.app.state.database
    clock: Clock = request.app.state.clock
    now = clock.now()
    today = business_day(now)
    day = past_day(as_of, today=today)
    async with database.reading() as session:
        if day is None:
            found = await live_overview(session, scheme=scheme, today=today)
        else:
            found = await past_overview(session, scheme=scheme, as_of=day, now=now)
    return _reply(found, as_of=day or today, scheme=scheme, language=request_language(request))


def _reply(found: Overview, *, as_of: date, scheme: Scheme, language: Language) -> SegmentsReply:
    members = sum(size.members for size in found.sizes)
    return SegmentsReply(
        as_of=as_of,
        scheme=scheme,
        members=members,
        unscored=found.unscored,
        thresholds=_thresholds(found.threshold_set),
        data=[_segment(size, members=members, language=language) for size in found.sizes],
    )


def _segment(size: Size, *, members: int, language: Language) -> SegmentReply:
    table = "segment_group" if size.scheme is Scheme.group else "segment"
    acted_on = size.scheme is Scheme.group and size.code != NO_GROUP
    return SegmentReply(
        code=size.code,
        name=text(f"{table}.{size.code}.name", language=language),
        action=text(f"{table}.{size.code}.action", language=language) if acted_on else None,
        size=size.members,
        share=round(size.members / members, 6) if members else 0.0,
        orders=size.orders,
        monetary_fen=size.monetary_fen,
        average_order_fen=_average(size.monetary_fen, size.orders),
    )


def _average(fen: int, orders: int) -> int | None:
    """Rounded half up, in integers."""
    return (2 * fen + orders) // (2 * orders) if orders else None


def _thresholds(threshold_set: ThresholdSet) -> ThresholdsReply:
    thresholds = threshold_set.thresholds
    return ThresholdsReply(
        as_of=thresholds.as_of,
        method=thresholds.method,
        reason=thresholds.reason,
        population=thresholds.population,
        recency_cuts_days=list(thresholds.recency_cuts_days),
        frequency_cuts=list(thresholds.frequency_cuts),
        monetary_cuts_fen=list(thresholds.monetary_cuts_fen),
    )
