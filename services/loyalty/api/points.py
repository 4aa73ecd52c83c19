"""Points over HTTP: balances and the statement."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import Field

from services.loyalty.api.examples import STATEMENT, shown
from services.loyalty.api.shapes import BalancesReply, LotPart, balances_reply
from services.loyalty.domain.ledger import AccountName, EntryKind
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.domain.moments import refuse_future
from services.loyalty.store.points import StatementLine, balances_at, balances_now, statement
from shared.http.fields import (
    MemberId,
    MemberRef,
    Moment,
    OccurredAt,
    RecordedAt,
    ReplyModel,
)
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.kernel.paging import DEFAULT_PAGE, decode_cursor

router = APIRouter(prefix="/v1/members/{member_id}/points", tags=["points"])


_ACCOUNT: Final = (
    "`available`, `pending`, `held` and `debt` are the member's; the others the programme's"
)


class PointsReply(BalancesReply):
    """A member's points, now or at a past moment."""

    member_id: MemberRef
    as_of: Annotated[datetime, Field(description="The moment of which they are")]


class CauseReply(ReplyModel):
    """What made an entry, and its id."""

    kind: Annotated[
        str,
        Field(
            description="`order`, `refund`, `cancellation`, `redemption`, `transfer`, "
            "`adjustment`, `merge`, `erasure`, `expiry_notice`, `reinstatement` or `import`"
        ),
    ]
    id: Annotated[str, Field(description="The id of that order, refund and so on")]


class EntryReply(ReplyModel):
    """One line of the statement.

    `points` is what the entry changes in all that the member can count on (available, pending and
    held, less debt), so the lines add up to `balance_after`. An entry between two of the member's
    own accounts (released, repaid) changes nothing in all and has 0; `moved` says how much it
    moved from `from_account` to `to_account`.
    """

    id: Annotated[str, Field(description="`pte_`, the member's id and the entry's number")]
    kind: Annotated[
        EntryKind,
        Field(
            description="`released`: a hold is over; `repaid`: debt; `restored`: spent or held "
            "points came back; `captured`: held points were spent"
        ),
    ]
    points: Annotated[int, Field(description="By how much the member can count on more, or less")]
    balance_after: Annotated[int, Field(description="What the member can count on then")]
    moved: Annotated[int, Field(description="How many points moved between the two accounts")]
    from_account: Annotated[AccountName, Field(description=_ACCOUNT)]
    to_account: Annotated[AccountName, Field(description=_ACCOUNT)]
    balances_after: BalancesReply
    cause: CauseReply
    reason: Annotated[str | None, Field(description="What somebody wrote as the reason")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    lots: Annotated[list[LotPart], Field(description="Which lots gave or got the points")]


@router.get(
    "",
    operation_id="show_points",
    response_model=PointsReply,
    responses={404: {"description": "`member_not_found`"}},
)
async def show_points(
    member_id: MemberId,
    request: Request,
    as_of: Annotated[
        Moment | None,
        Query(
            description="A past moment: what was recorded by then. Now if left out; at most five "
            "minutes ahead, which count as now"
        ),
    ] = None,
) -> PointsReply:
    """A member's points. Points whose hold is over count as available, to the moment."""
    now = request.app.state.clock.now()
    if as_of is not None:
        refuse_future(as_of, now=now, pointer="?as_of")
    async with request.app.state.database.reading() as session:
        balances = await balances_now(session, member_id=member_id, now=now)
        if balances is None:
            raise MemberNotFound
        if as_of is not None and as_of < now:
            balances = await balances_at(session, member_id=member_id, at=as_of)
    return PointsReply(
        member_id=member_id, as_of=as_of or now, **balances_reply(balances).model_dump()
    )


@router.get(
    "/entries",
    operation_id="list_point_entries",
    response_model=PageReply[EntryReply],
    responses={200: shown(STATEMENT), 404: {"description": "`member_not_found`"}},
)
async def list_point_entries(
    member_id: MemberId,
    request: Request,
    limit: LimitQuery = DEFAULT_PAGE,
    cursor: CursorQuery = None,
) -> PageReply[EntryReply]:
    """The statement, newest first."""
    before = None if cursor is None else int(decode_cursor(cursor, int)[0])
    async with request.app.state.database.reading() as session:
        page = await statement(session, member_id=member_id, before=before, limit=limit)
        if not page.rows:
            now = request.app.state.clock.now()
            if await balances_now(session, member_id=member_id, now=now) is None:
                raise MemberNotFound
    return PageReply(data=[_entry(line) for line in page.rows], next_cursor=page.next_cursor)


def _entry(line: StatementLine) -> EntryReply:
    return EntryReply(
        id=f"pte_{line.member_id.removeprefix('mem_')}_{line.seq}",
        kind=line.kind,
        points=line.points,
        balance_after=line.after.total,
        moved=line.moved,
        from_account=line.debit_account,
        to_account=line.credit_account,
        balances_after=balances_reply(line.after),
        cause=CauseReply(kind=line.cause_kind, id=line.cause_id),
        reason=line.reason,
        occurred_at=line.occurred_at,
        recorded_at=line.recorded_at,
        lots=[LotPart(id=part.lot_id, points=part.points) for part in line.lots],
    )
