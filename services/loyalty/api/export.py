"""What is on record about one person, over HTTP: all of it, as one document."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field

from services.loyalty.domain.export import SCHEMA_VERSION
from services.loyalty.store.export import export_member
from shared.http.fields import MemberId, MemberRef, ReplyModel

router = APIRouter(prefix="/v1/members", tags=["members"])
Row = dict[str, Any]


class MemberExportReply(ReplyModel):
    """Everything about one person, as of one moment.

    `member_ids` are the ids under which it is on record: the member's, and those of members merged
    into it. Each section holds rows of one kind, with the id that each belongs to.
    """

    schema_version: Annotated[int, Field(description="Counts up with the shape of the document")]
    exported_at: Annotated[datetime, Field(description="The moment of which it is")]
    member_id: MemberRef
    member_ids: Annotated[list[str], Field(description="The member, and who was merged into it")]
    profiles: Annotated[list[Row], Field(description="What they tell about themselves")]
    identities: Annotated[
        list[Row], Field(description="With their values as they were given; phones as E.164")
    ]
    accounts: Annotated[list[Row], Field(description="Balances, growth value and tier")]
    orders: list[Row]
    refunds: list[Row]
    order_cancellations: list[Row]
    point_entries: list[Row]
    point_lots: list[Row]
    lot_allocations: Annotated[
        list[Row], Field(description="How much of which lot an entry took (negative) or gave")
    ]
    redemptions: list[Row]
    transfers: list[Row]
    adjustments: list[Row]
    entry_reasons: Annotated[
        list[Row], Field(description="What people wrote as the reason of an entry")
    ]
    imported_movements: Annotated[
        list[Row], Field(description="Lines of imports of points that were posted")
    ]
    expiry_notices: list[Row]
    expiry_notice_lots: Annotated[
        list[Row], Field(description="Which lots a notice is of, and with how many points")
    ]
    expiry_notice_failures: Annotated[
        list[Row], Field(description="Channels that could not deliver a notice")
    ]
    expiry_extensions: Annotated[list[Row], Field(description="Lots whose expiry was moved later")]
    reservations: Annotated[list[Row], Field(description="What checkouts held")]
    growth_entries: Annotated[list[Row], Field(description="Changes of the growth value")]
    tier_changes: list[Row]
    vouchers: list[Row]
    rewards: Annotated[list[Row], Field(description="Rewards of referrals, as vouchers")]
    merges: list[Row]


@router.get(
    "/{member_id}/export",
    operation_id="export_member",
    response_model=MemberExportReply,
    responses={
        404: {"description": "`member_not_found`"},
        409: {"description": "`member_merged`, `export_too_large`: more than 50,000 rows"},
    },
)
async def export_member_route(member_id: MemberId, request: Request) -> Response:
    """Everything about one person as one document, for its owner: it holds their identities."""
    state = request.app.state
    export = await export_member(state.database, member_id=member_id, vault=state.vault)
    head = {
        "schema_version": SCHEMA_VERSION,
        "exported_at": state.clock.now(),
        "member_id": member_id,
        "member_ids": list(export.member_ids),
    }
    return Response(_document(head, export.sections), media_type="application/json")


def _document(head: Mapping[str, Any], sections: Mapping[str, Sequence[str]]) -> bytes:
    """The reply's JSON, of rows that are JSON already.

    To read and check tens of thousands of them again would keep everybody else waiting.
    """
    parts = [f',"{name}":[{",".join(rows)}]' for name, rows in sections.items()]
    return orjson.dumps(head, option=orjson.OPT_UTC_Z)[:-1] + "".join(parts).encode() + b"}"
