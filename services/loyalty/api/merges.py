"""Merges over HTTP: made, listed, taken back."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.shapes import BalancesReply
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.operations.merges import merge_members
from services.loyalty.operations.merges_reversal import reverse_merge
from services.loyalty.operations.replies import noting
from services.loyalty.store.members import member_state
from services.loyalty.store.merges import list_merges
from services.loyalty.store.tables import MemberMerge
from shared.http.fields import (
    Actor,
    LongReason,
    MemberId,
    ReplyModel,
    RequestModel,
    id_pattern,
)
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.writes import KeyedWrite, Reply
from shared.kernel.paging import decode_cursor, encode_cursor, page_of

router = APIRouter(prefix="/v1", tags=["members"])
MergeId = Annotated[str, Path(pattern=id_pattern("mrg"), description="A merge's id")]


class MergeRequest(RequestModel):
    """Who is found to be the same person, and how that is known."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"source_member_id": "mem_01kb0000000000000000000000", "reason": "同一手机号"}
            ]
        }
    )

    source_member_id: Annotated[MemberId, Field(description="Who goes on as the member")]
    reason: LongReason


class MergeReversalRequest(RequestModel):
    """Why the two are two after all."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "误合并，实为母女"}]})

    reason: LongReason


class MergeReversal(ReplyModel):
    """What went back to the source."""

    returned: BalancesReply
    reason: Annotated[str | None, Field(description="Null once the person was erased")]
    reversed_by: Actor
    reversed_at: datetime


class MergeReply(ReplyModel):
    """Two members who are one: the source lives on as the member."""

    id: Annotated[str, Field(description="A merge's id")]
    member_id: Annotated[str, Field(description="In whom both live on")]
    source_member_id: Annotated[str, Field(description="Who goes on as the member")]
    reason: Annotated[str | None, Field(description="Null once the person was erased")]
    moved: Annotated[BalancesReply, Field(description="Points and debt that the source brought")]
    repaid_points: Annotated[int, Field(description="Debt that was repaid at once")]
    merged_by: Actor
    merged_at: datetime
    reversal: MergeReversal | None


@router.post(
    "/members/{member_id}/merges",
    operation_id="merge_members",
    status_code=201,
    response_model=MergeReply,
    responses={
        404: {"description": "`member_not_found`"},
        409: {
            "description": "`merge_with_itself`, `member_merged`, `balance_limit_reached`,"
            " `merge_too_large`: the source has more than 2,000 orders;"
            " `merge_holds_conflict`: both hold points for the same purpose and reference"
        },
    },
)
async def merge_members_route(
    member_id: MemberId, body: MergeRequest, write: KeyedWrite
) -> Response:
    """Merge the source into the member: identities, points, orders, vouchers and growth move.

    The higher tier stays; of the profile only gaps are filled.
    """
    return await write.run(
        lambda tx: noting(
            tx,
            merge_members(
                tx,
                member_id=member_id,
                source_member_id=body.source_member_id,
                reason=body.reason,
            ),
            kept_under=write.kept_under,
            about=_both,
        ),
        reply=lambda merge: Reply(body=_reply(merge), status=201),
    )


@router.post(
    "/member_merges/{merge_id}/reversal",
    operation_id="reverse_merge",
    response_model=MergeReply,
    responses={
        404: {"description": "`not_found`: no such merge"},
        409: {"description": "`merge_reversed`, `merge_not_last`, `merge_final`"},
    },
)
async def reverse_merge_route(
    merge_id: MergeId, body: MergeReversalRequest, write: KeyedWrite
) -> Response:
    """Take a merge back, once: what came from the source and was not used since goes back."""
    return await write.run(
        lambda tx: noting(
            tx,
            reverse_merge(tx, merge_id=merge_id, reason=body.reason),
            kept_under=write.kept_under,
            about=_both,
        ),
        reply=lambda merge: Reply(body=_reply(merge)),
    )


@router.get(
    "/members/{member_id}/merges",
    operation_id="list_member_merges",
    responses={404: {"description": "`member_not_found`"}},
)
async def list_member_merges(
    member_id: MemberId, request: Request, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> PageReply[MergeReply]:
    """The merges a member took part in, as either of the two, newest first."""
    before = str(decode_cursor(cursor, str)[0]) if cursor else None
    async with request.app.state.database.reading() as session:
        if await member_state(session, member_id=member_id) in (None, "erased"):
            raise MemberNotFound
        rows = await list_merges(session, member_id=member_id, before=before, limit=limit + 1)
    page = page_of(rows, limit=limit, mark=lambda row: encode_cursor(row.id))
    return PageReply(data=[_reply(row) for row in page.rows], next_cursor=page.next_cursor)


def _both(merge: MemberMerge) -> list[str]:
    return [merge.member_id, merge.source_member_id]


def _reply(merge: MemberMerge) -> MergeReply:
    return MergeReply(
        id=merge.id,
        member_id=merge.member_id,
        source_member_id=merge.source_member_id,
        reason=merge.reason,
        moved=BalancesReply(
            available=merge.available, pending=merge.pending, held=merge.held, debt=merge.debt
        ),
        repaid_points=merge.repaid,
        merged_by=merge.merged_by,
        merged_at=merge.merged_at,
        reversal=_reversal(merge),
    )


def _reversal(merge: MemberMerge) -> MergeReversal | None:
    if merge.reversed_at is None or merge.reversed_by is None:
        return None
    return MergeReversal(
        returned=BalancesReply(
            available=merge.returned_available or 0,
            pending=merge.returned_pending or 0,
            held=merge.returned_held or 0,
            debt=merge.returned_debt or 0,
        ),
        reason=merge.reversal_reason,
        reversed_by=merge.reversed_by,
        reversed_at=merge.reversed_at,
    )
