"""Lots over HTTP: listed, when they lapse, extended, and lapsed points given back."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.expiry_extensions import ExtensionReply, extension_reply
from services.loyalty.api.points import CauseReply
from services.loyalty.api.shapes import BalancesReply, balances_reply
from services.loyalty.domain.ledger import Account
from services.loyalty.domain.lots import Lot, LotState, expiry_schedule
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.operations.lots import Reinstated, extend_lots, reinstate_points
from services.loyalty.store.lots import LotFilter, list_lots, settled_books
from shared.http.fields import LongLine, LotId, MemberId, Moment, Points, ReplyModel, RequestModel
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.writes import KeyedWrite, Reply
from shared.kernel.paging import DEFAULT_PAGE, decode_cursor, encode_cursor, page_of

router = APIRouter(prefix="/v1/members/{member_id}/points", tags=["points"])

_MOST_LOTS = 200
_LATER = "Rounded up to the end of its business day in Asia/Shanghai"


class LotReply(ReplyModel):
    """Points that were earned together and lapse together."""

    id: str
    cause: CauseReply
    points: Annotated[int, Field(description="As earned")]
    remaining: int
    state: LotState
    available_at: datetime | None
    expires_at: Annotated[
        datetime | None, Field(description="Null when they never lapse, or it is not known yet")
    ]
    created_at: datetime


class SchedulePart(ReplyModel):
    """Available points that lapse together; `expires_at` is null for those that never do."""

    points: int
    expires_at: datetime | None


class ScheduleReply(ReplyModel):
    """When the available points lapse, soonest first. The parts add up to `available`."""

    member_id: str
    available: int
    data: list[SchedulePart]


class ExtensionsRequest(RequestModel):
    """Lots to be good for longer, until when and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"expires_at": "2027-12-31T00:00:00+08:00", "reason": "门店装修补偿"}]
        }
    )

    lot_ids: Annotated[
        list[LotId] | None,
        Field(
            min_length=1,
            max_length=_MOST_LOTS,
            description="All open lots that lapse before, if left out",
        ),
    ] = None
    expires_at: Annotated[Moment, Field(description=_LATER)]
    reason: LongLine


class ExtensionsReply(ReplyModel):
    """The lots that were extended."""

    member_id: str
    extensions: list[ExtensionReply]


class ReinstatementRequest(RequestModel):
    """Lapsed points to give back, until when they are good and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "lot_id": "lot_01kb0t6v3mvc8qd2x5n7h9r4ek",
                    "points": 100,
                    "reason": "客户投诉：住院期间未能使用",
                }
            ]
        }
    )

    lot_id: LotId
    points: Annotated[Points | None, Field(description="All that lapsed, if left out")] = None
    expires_at: Annotated[
        Moment | None,
        Field(description=f"{_LATER}; as an extension from today, if left out"),
    ] = None
    reason: LongLine


class ReinstatementReply(ReplyModel):
    """Points given back to their lot, and the balances after. Debt was repaid from them first."""

    id: str
    member_id: str
    lot_id: str
    points: int
    debt_repaid: int
    expires_at: datetime | None
    balances: BalancesReply


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
        lambda tx: extend_lots(
            tx,
            member_id=member_id,
            lot_ids=None if body.lot_ids is None else sorted(set(body.lot_ids)),
            expires_at=body.expires_at,
            reason=body.reason,
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
        404: {"description": "`member_not_found`, `not_found` for the lot"},
        409: {"description": "`more_than_lapsed`, `member_merged`"},
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
