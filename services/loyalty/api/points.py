"""Points over HTTP: balances and the statement."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from services.loyalty.api.shapes import BalancesReply, LotPart, balances_reply
from services.loyalty.domain.ledger import AccountName, EntryKind
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.domain.moments import refuse_future
from services.loyalty.store.points import StatementLine, balances_at, balances_now, statement
from shared.http.fields import MemberId, Moment, ReplyModel
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.kernel.paging import DEFAULT_PAGE, decode_cursor

router = APIRouter(prefix="/v1/members/{member_id}/points", tags=["points"])


class PointsReply(BalancesReply):
    """A member's points, now or at a past moment."""

    member_id: str
    as_of: datetime


class CauseReply(ReplyModel):
    """What made an entry, and its id."""

    kind: Annotated[
        str,
        Field(
            description="`order`, `refund`, `cancellation`, `redemption`, `transfer`, "
            "`adjustment`, `merge`, `erasure`, `expiry_notice`, `reinstatement` or `import`"
        ),
    ]
    id: str


class EntryReply(ReplyModel):
    """One line of the statement.

    `points` is what the entry changes in all that the member can count on (available, pending and
    held, less debt), so the lines add up to `balance_after`. An entry between two of the member's
    own accounts (released, repaid) changes nothing in all and has 0; `moved` says how much it
    moved from `from_account` to `to_account`.
    """

    id: str
    kind: EntryKind
    points: int
    balance_after: int
    moved: int
    from_account: AccountName
    to_account: AccountName
    balances_after: BalancesReply
    cause: CauseReply
    reason: str | None
    occurred_at: datetime
    recorded_at: datetime
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
        Query(description="A past moment: what was recorded by then. Now if left out"),
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
    responses={404: {"description": "`member_not_found`"}},
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
