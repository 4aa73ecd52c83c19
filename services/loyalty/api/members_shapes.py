"""What members look like over HTTP: requests and replies."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from services.loyalty.api.shapes import TierName, tier_name
from services.loyalty.domain.members import IdentityKind, MemberState
from services.loyalty.store.members import MemberView
from shared.http.fields import Line, ReplyModel, RequestModel
from shared.kernel.texts import Language

Gender = Literal["female", "male", "other"]
Tags = Annotated[list[Line], Field(max_length=50)]
ConsentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Consents = Annotated[dict[ConsentName, bool], Field(max_length=20)]
Birthday = Annotated[str, Field(max_length=10, description="`MM-DD` or `YYYY-MM-DD`")]


class IdentityRequest(RequestModel):
    """One way to know a member. A phone without a country code is one of the mainland."""

    kind: IdentityKind
    value: Annotated[str, Field(min_length=1, max_length=128)]
    app_id: Annotated[
        str | None, Field(max_length=64, description="Of a `wechat_openid`, and of no other")
    ] = None


class ProfileRequest(RequestModel):
    """What a member tells about themselves. Fields left out stay; null forgets."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"nickname": "小红", "birthday": "05-20"}]}
    )

    nickname: Line | None = None
    birthday: Birthday | None = None
    gender: Gender | None = None
    city: Line | None = None
    tags: Tags | None = None
    consents: Consents | None = None


class EnrolmentRequest(ProfileRequest):
    """A person who joins. `referral_code` may be any text; a wrong one does not stop anybody."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "identities": [
                        {"kind": "external", "value": "user-10086"},
                        {"kind": "phone", "value": "13800138000"},
                    ],
                    "nickname": "小红",
                    "birthday": "1995-05-20",
                    "city": "杭州",
                    "consents": {"personalised_marketing": True},
                    "device_id": "device-7f3a",
                }
            ]
        }
    )

    identities: Annotated[list[IdentityRequest], Field(min_length=1, max_length=10)]
    referral_code: Line | None = None
    device_id: Line | None = None


class IdentityReply(ReplyModel):
    """That a member is known in some way; the value itself is never shown."""

    kind: str
    app_id: str | None


class Consent(ReplyModel):
    """What was said last about a purpose or channel, and when."""

    granted: bool
    at: datetime


class MemberReply(ReplyModel):
    """A member."""

    id: str
    state: MemberState
    merged_into: Annotated[str | None, Field(description="Where a merged member lives on")]
    nickname: str | None
    phone_masked: str | None
    birthday: str | None
    gender: str | None
    city: str | None
    tags: list[str]
    consents: dict[str, Consent]
    identities: list[IdentityReply]
    tier: TierName
    created_at: datetime
    updated_at: datetime


class InternalMember(ReplyModel):
    """What neighbours need to know of a member."""

    id: str
    state: MemberState


def member_reply(member: MemberView, *, language: Language) -> MemberReply:
    """A member as replied."""
    return MemberReply(
        id=member.id,
        state=member.state,
        merged_into=member.merged_into,
        nickname=member.nickname,
        phone_masked=member.phone_masked,
        birthday=member.birthday,
        gender=member.gender,
        city=member.city,
        tags=member.tags,
        consents={name: Consent(**given) for name, given in member.consents.items()},
        identities=[
            IdentityReply(kind=kind, app_id=app_id or None) for kind, app_id in member.identities
        ],
        tier=tier_name(member.programme, member.tier_code, language=language),
        created_at=member.created_at,
        updated_at=member.updated_at,
    )
