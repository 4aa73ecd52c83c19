"""Erasing a member, over HTTP."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from services.loyalty.domain.members import MemberNotFound
from services.loyalty.operations.erasure import Erased, erase_member
from shared.http.fields import MemberId, MemberRef, ReplyModel
from shared.http.problems import refusal_problem
from shared.http.writes import OpenWrite, Reply
from shared.kernel.texts import DEFAULT_LANGUAGE

router = APIRouter(prefix="/v1/members", tags=["members"])


class ErasureReply(ReplyModel):
    """A member who is gone."""

    id: MemberRef
    state: Literal["erased"]
    erased_at: Annotated[datetime, Field(description="When it was done, at first")]


@router.delete(
    "/{member_id}",
    operation_id="erase_member",
    status_code=202,
    response_model=ErasureReply,
    responses={404: {"description": "`member_not_found`"}, 409: {"description": "`member_merged`"}},
)
async def erase_member_route(member_id: MemberId, write: OpenWrite) -> Response:
    """Erase a person, with all who were merged into them: profile, identities, devices, consents.

    Points are written off, vouchers voided, holds released. The ledger stays, under an id that
    leads to nobody. It is done when the reply comes, in this service; the others hear of it by
    event. Once is as good as twice.
    """
    gone = refusal_problem(MemberNotFound(), language=DEFAULT_LANGUAGE, instance="/v1/members")
    return await write.run(
        lambda tx: erase_member(tx, member_id=member_id, gone=bytes(gone.body)), reply=_reply
    )


def _reply(erased: Erased) -> Reply:
    body = ErasureReply(id=erased.member_id, state="erased", erased_at=erased.erased_at)
    return Reply(body=body, status=202)
