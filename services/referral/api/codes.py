"""A member's referral code over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from services.referral.api.members import refuse_unknown_member
from services.referral.domain.codes import link_of, scene_of
from services.referral.operations.codes import code_for
from services.referral.store.codes import find_code
from shared.db import Database
from shared.http.access import CurrentPrincipal
from shared.http.fields import MemberId, ReplyModel

router = APIRouter(prefix="/v1/members", tags=["referrals"])

ChannelQuery = Annotated[
    str,
    Query(
        pattern=r"^[a-z][a-z0-9_]{0,31}$",
        description="Where the code is shared, to tell channels apart; mostly left out",
        examples=["wechat_moments"],
    ),
]


class ReferralCodeReply(ReplyModel):
    """A member's code, in the forms in which it is shared."""

    code: str = Field(description="Eight symbols and a check character", examples=["7KQM2XWF9"])
    scene: str = Field(
        description="For a mini-program code; at most 32 characters", examples=["r=7KQM2XWF9"]
    )
    link: str = Field(examples=["https://shop.example.com/?referral_code=7KQM2XWF9"])


@router.get(
    "/{member_id}/referral_code",
    operation_id="show_referral_code",
    response_model=ReferralCodeReply,
    responses={
        404: {"description": "There is no such member"},
        503: {"description": "Whether there is such a member cannot be found out now"},
    },
)
async def show_referral_code(
    member_id: MemberId,
    request: Request,
    principal: CurrentPrincipal,
    channel: ChannelQuery | None = None,
) -> ReferralCodeReply:
    """The code a member shares; made on first use, the same for ever after."""
    database: Database = request.app.state.database
    async with database.reading() as session:
        code = await find_code(session, member_id=member_id, channel=channel or "")
    if code is None:
        await refuse_unknown_member(request, member_id=member_id)
        code = await database.run(
            lambda transaction: code_for(transaction, member_id=member_id, channel=channel or ""),
            actor=principal.actor,
        )
    template: str = request.app.state.link_template
    return ReferralCodeReply(code=code, scene=scene_of(code), link=link_of(code, template=template))
