"""What members look like over HTTP: requests and replies."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from services.loyalty.api.shapes import TierName, tier_name
from services.loyalty.domain.members import IdentityKind, MemberState
from services.loyalty.store.members import MemberView
from shared.http.fields import (
    DeviceId,
    Line,
    MemberRef,
    RecordedAt,
    ReplyModel,
    RequestModel,
)
from shared.kernel.texts import Language

Gender = Annotated[
    Literal["female", "male", "other"], Field(description="As the member says; null: not told")
]
Nickname = Annotated[Line, Field(description="What the member wants to be called")]
City = Annotated[Line, Field(description="The member's city")]
Tags = Annotated[
    list[Line],
    Field(max_length=50, description="Marks of the caller's own; what is sent replaces them all"),
]
ConsentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Consents = Annotated[
    dict[ConsentName, bool],
    Field(
        max_length=20,
        description="Whether the member agrees, by purpose or channel, such as "
        "`personalised_marketing`; those that are not named stay as they are",
    ),
]
Birthday = Annotated[str, Field(max_length=10, description="`MM-DD` or `YYYY-MM-DD`")]


IDENTITY_KIND: Final = (
    "`external`: the caller's own id of the person; `phone`; `wechat_openid` of one app; "
    "`wechat_unionid` of all apps of one owner"
)
IdentityValue = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        description="Of a phone, the number as people write it; of WeChat, 6 to 64 letters, digits,"
        " `_` or `-`; of `external`, visible ASCII characters without spaces",
    ),
]


class IdentityRequest(RequestModel):
    """One way to know a member. A phone without a country code is one of the mainland."""

    kind: Annotated[IdentityKind, Field(description=IDENTITY_KIND)]
    value: IdentityValue
    app_id: Annotated[
        str | None, Field(max_length=64, description="Of a `wechat_openid`, and of no other")
    ] = None


class ProfileRequest(RequestModel):
    """What a member tells about themselves. Fields left out stay; null forgets."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"nickname": "小红", "birthday": "05-20"}]}
    )

    nickname: Nickname | None = None
    birthday: Birthday | None = None
    gender: Gender | None = None
    city: City | None = None
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

    identities: Annotated[
        list[IdentityRequest],
        Field(
            min_length=1,
            max_length=10,
            description="How the person is known. Each belongs to one member at most",
        ),
    ]
    referral_code: Annotated[
        Line | None, Field(description="The code of whoever brought the person, as it was typed")
    ] = None
    device_id: DeviceId | None = None


class IdentityReply(ReplyModel):
    """That a member is known in some way; the value itself is never shown."""

    kind: Annotated[str, Field(description=IDENTITY_KIND)]
    app_id: Annotated[str | None, Field(description="Of a `wechat_openid`, and of no other")]


class Consent(ReplyModel):
    """What was said last about a purpose or channel, and when."""

    granted: bool
    at: datetime


class MemberReply(ReplyModel):
    """A member."""

    id: MemberRef
    state: Annotated[MemberState, Field(description="`merged`: lives on as `merged_into`")]
    merged_into: Annotated[str | None, Field(description="Where a merged member lives on")]
    nickname: Annotated[str | None, Field(description="What the member wants to be called")]
    phone_masked: Annotated[
        str | None,
        Field(description="For people to recognise: `138****1234`; null without a phone"),
    ]
    birthday: Annotated[str | None, Field(description="`MM-DD` or `YYYY-MM-DD`")]
    gender: Annotated[str | None, Field(description="As the member says; null: not told")]
    city: Annotated[str | None, Field(description="The member's city")]
    tags: Annotated[list[str], Field(description="Marks of the caller's own")]
    consents: Annotated[dict[str, Consent], Field(description="By purpose or channel")]
    identities: Annotated[list[IdentityReply], Field(description="How the member is known")]
    tier: TierName
    created_at: RecordedAt
    updated_at: Annotated[datetime, Field(description="When the member was last changed")]


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
