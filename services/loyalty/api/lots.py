"""Lots over HTTP: listed, and when they lapse."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from services.loyalty.api.points import CauseReply
from services.loyalty.domain.ledger import Account
from services.loyalty.domain.lots import Lot, LotState, expiry_schedule
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.store.lots import LotFilter, list_lots, settled_books
from shared.http.fields import LotRef, MemberId, MemberRef, RecordedAt, ReplyModel
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.kernel.paging import DEFAULT_PAGE, decode_cursor, encode_cursor, page_of

router = APIRouter(prefix="/v1/members/{member_id}/points", tags=["points"])


class LotReply(ReplyModel):
    """Points that were earned together and lapse together."""

    id: LotRef
    cause: CauseReply
    points: Annotated[int, Field(description="As earned")]
    remaining: Annotated[int, Field(description="What of them is still there")]
    state: Annotated[LotState, Field(description="`closed`: nothing of it is left")]
    available_at: Annotated[
        datetime | None,
        Field(description="When they become available; null while completion is awaited"),
    ]
    expires_at: Annotated[
        datetime | None, Field(description="Null when they never lapse, or it is not known yet")
    ]
    created_at: RecordedAt


class SchedulePart(ReplyModel):
    """Available points that lapse together; `expires_at` is null for those that never do."""

    points: int
    expires_at: datetime | None


class ScheduleReply(ReplyModel):
    """When the available points lapse, soonest first. The parts add up to `available`."""

    member_id: MemberRef
    available: Annotated[int, Field(description="Points that can be spent now")]
    data: list[SchedulePart]


@router.get(
    "/lots",
    operation_id="list_lots",
    response_model=PageReply[LotReply],
    responses={404: {"description": "`member_not_found`"}},
)
async def list_lots_route(
    member_id: MemberId,
    request: Request,
    state: Annotated[LotFilter, Query(description="`open`: those that still hold points")] = "open",
    limit: LimitQuery = DEFAULT_PAGE,
    cursor: CursorQuery = None,
) -> PageReply[LotReply]:
    """A member's lots, newest first. A lot whose hold is over reads as available, to the moment."""
    before = str(decode_cursor(cursor, str)[0]) if cursor else None
    async with request.app.state.database.reading() as session:
        settled = await settled_books(
            session, member_id=member_id, now=request.app.state.clock.now()
        )
        if settled is None:
            raise MemberNotFound
        lots = await list_lots(
            session, member_id=member_id, which=state, before=before, limit=limit + 1
        )
    page = page_of(lots, limit=limit, mark=lambda lot: encode_cursor(lot.id))
    shown = [settled.lots.get(lot.id, lot) for lot in page.rows]
    return PageReply(
        data=[_lot(lot) for lot in shown if state == "all" or lot.is_open],
        next_cursor=page.next_cursor,
    )


@router.get(
    "/expiry_schedule",
    operation_id="show_expiry_schedule",
    responses={404: {"description": "`member_not_found`"}},
)
async def show_expiry_schedule(member_id: MemberId, request: Request) -> ScheduleReply:
    """When the available points lapse. Points whose hold is over count, to the moment."""
    async with request.app.state.database.reading() as session:
        settled = await settled_books(
            session, member_id=member_id, now=request.app.state.clock.now()
        )
    if settled is None:
        raise MemberNotFound
    return _schedule(settled)


def _lot(lot: Lot) -> LotReply:
    return LotReply(cause=CauseReply(kind=lot.cause.kind, id=lot.cause.id), **_fields(lot))


def _fields(lot: Lot) -> dict[str, Any]:
    names = ("id", "points", "remaining", "state", "available_at", "expires_at", "created_at")
    return {name: getattr(lot, name) for name in names}


def _schedule(settled: Account) -> ScheduleReply:
    return ScheduleReply(
        member_id=settled.member_id,
        available=settled.balances.available,
        data=[
            SchedulePart(points=points, expires_at=expires_at)
            for expires_at, points in expiry_schedule(settled.lots.values())
        ],
    )
