"""Extensions of lots over HTTP: who got more time, and why."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from services.loyalty.domain.expiry_notices import ExtensionReason
from services.loyalty.store.expiry_extensions import list_extensions
from services.loyalty.store.tables import ExpiryExtension
from shared.http.fields import Actor, LotRef, MemberId, MemberRef, RecordedAt, ReplyModel
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.kernel.paging import DEFAULT_PAGE, decode_cursor, encode_cursor, page_of

router = APIRouter(prefix="/v1/points", tags=["points"])


class ExtensionReply(ReplyModel):
    """A lot's expiry moved later, by rule or by an operator."""

    id: Annotated[str, Field(description="The extension's id")]
    member_id: MemberRef
    lot_id: LotRef
    points: Annotated[int, Field(description="What remained of the lot or is held of it")]
    reason: Annotated[
        str,
        Field(
            description="`never_announced`, `not_delivered`, `delivered_too_late`,"
            " `points_added_after_notice` or `by_operator`"
        ),
    ]
    note: Annotated[str | None, Field(description="Why an operator wanted it")]
    previous_expires_at: Annotated[datetime, Field(description="When it would have lapsed")]
    expires_at: Annotated[datetime, Field(description="When the lot lapses now")]
    occurred_at: Annotated[
        datetime, Field(description="When it would have lapsed; of an operator's, when it was made")
    ]
    recorded_at: RecordedAt
    actor: Actor


@router.get("/expiry_extensions", operation_id="list_expiry_extensions")
async def list_expiry_extensions(
    request: Request,
    reason: Annotated[ExtensionReason | None, Query(description="Only those for this")] = None,
    member_id: Annotated[MemberId | None, Query(description="Only this member's")] = None,
    limit: LimitQuery = DEFAULT_PAGE,
    cursor: CursorQuery = None,
) -> PageReply[ExtensionReply]:
    """Lots that were extended instead of lapsing, or by an operator; newest first."""
    before = str(decode_cursor(cursor, str)[0]) if cursor else None
    async with request.app.state.database.reading() as session:
        rows = await list_extensions(
            session, member_id=member_id, reason=reason, before=before, limit=limit + 1
        )
    page = page_of(rows, limit=limit, mark=lambda row: encode_cursor(row.id))
    return PageReply(data=[extension_reply(row) for row in page.rows], next_cursor=page.next_cursor)


def extension_reply(row: ExpiryExtension) -> ExtensionReply:
    """An extension as replied."""
    return ExtensionReply(**row.model_dump())
