"""Members over HTTP: enrolment, profile, look-up."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from services.loyalty.api.examples import MEMBER, shown
from services.loyalty.api.members_shapes import (
    EnrolmentRequest,
    IdentityRequest,
    IdentityValue,
    InternalMember,
    MemberReply,
    ProfileRequest,
    member_reply,
)
from services.loyalty.api.shapes import LANGUAGE_NOTE
from services.loyalty.domain.members import (
    GivenIdentity,
    IdentityKind,
    MemberNotFound,
    Profile,
    normalise_identity,
    read_birthday,
)
from services.loyalty.operations.members import Enrolment, enrol, update_profile
from services.loyalty.operations.replies import noting
from services.loyalty.store.members import find_member, member_state, owners_of
from shared.http.fields import MemberId
from shared.http.paging import PageReply
from shared.http.problems import request_language
from shared.http.writes import OpenWrite, Reply
from shared.kernel.clock import business_day
from shared.kernel.errors import InvalidField

router = APIRouter(prefix="/v1/members", tags=["members"])
internal_router = APIRouter(prefix="/internal", include_in_schema=False)


@router.post(
    "",
    operation_id="enrol_member",
    status_code=201,
    response_model=MemberReply,
    responses={
        201: shown(MEMBER),
        200: {"model": MemberReply, "description": "One of the identities is known: that member"},
        409: {"description": "`identities_conflict`: the identities belong to two members"},
    },
)
async def enrol_member(body: EnrolmentRequest, write: OpenWrite, request: Request) -> Response:
    """Enrol a person once: whoever is known by one of the identities is that member.

    Who is known keeps their profile and gains the identities that were nobody's.
    """
    enrolment = Enrolment(
        identities=[
            _identity(one, pointer=f"/identities/{place}")
            for place, one in enumerate(body.identities)
        ],
        profile=Profile(**_profile(body, request=request)),
        consents=body.consents or {},
        referral_code=body.referral_code,
        device_id=body.device_id,
    )
    language = request_language(request)
    return await write.run(
        lambda tx: enrol(
            tx,
            enrolment=enrolment,
            vault=request.app.state.vault,
            kept_under=write.kept_under,
        ),
        reply=lambda enrolled: Reply(
            body=member_reply(enrolled.member, language=language),
            status=200 if enrolled.known else 201,
        ),
    )


@router.get("", operation_id="find_members", response_model=PageReply[MemberReply])
async def find_members(
    request: Request,
    identity_kind: Annotated[IdentityKind, Query(description="How the member is known")],
    identity_value: Annotated[IdentityValue, Query()],
    app_id: Annotated[
        str | None, Query(max_length=64, description="Of a `wechat_openid`, and of no other")
    ] = None,
) -> PageReply[MemberReply]:
    """The member with an identity: one or none."""
    try:
        identity = normalise_identity(
            kind=identity_kind, value=identity_value, app_id=app_id, pointer=""
        )
    except InvalidField as invalid:
        pointer = "?app_id" if invalid.pointer == "/app_id" else "?identity_value"
        raise InvalidField(pointer=pointer, reason=invalid.reason) from None
    state, language = request.app.state, request_language(request)
    now = state.clock.now()
    async with state.database.reading() as session:
        owners = await owners_of(session, [identity], vault=state.vault)
        found = [
            await find_member(session, member_id=owner.merged_into or owner.id, now=now)
            for owner in owners
        ]
    members = [member_reply(one, language=language) for one in found if one is not None]
    return PageReply(data=members, next_cursor=None)


@router.get(
    "/{member_id}",
    operation_id="show_member",
    response_model=MemberReply,
    description=f"One member. {LANGUAGE_NOTE}",
    responses={404: {"description": "`member_not_found`"}},
)
async def show_member(member_id: MemberId, request: Request) -> MemberReply:
    """One member."""
    state = request.app.state
    async with state.database.reading() as session:
        member = await find_member(session, member_id=member_id, now=state.clock.now())
    if member is None:
        raise MemberNotFound
    return member_reply(member, language=request_language(request))


@router.put(
    "/{member_id}/profile",
    operation_id="update_member_profile",
    response_model=MemberReply,
    responses={404: {"description": "`member_not_found`"}, 409: {"description": "`member_merged`"}},
)
async def update_member_profile(
    member_id: MemberId, body: ProfileRequest, write: OpenWrite, request: Request
) -> Response:
    """Change the fields that are sent; the others stay. Null forgets a field."""
    changes = {
        name: value
        for name, value in _profile(body, request=request).items()
        if name in body.model_fields_set
    }
    language = request_language(request)
    return await write.run(
        lambda tx: noting(
            tx,
            update_profile(tx, member_id=member_id, changes=changes, consents=body.consents or {}),
            kept_under=write.kept_under,
            about=lambda _: [member_id],
        ),
        reply=lambda member: Reply(body=member_reply(member, language=language)),
    )


@internal_router.get("/members/{member_id}", operation_id="internal_show_member")
async def internal_show_member(member_id: MemberId, request: Request) -> InternalMember:
    """Whether there is such a member, for neighbours."""
    async with request.app.state.database.reading() as session:
        state = await member_state(session, member_id=member_id)
    if state is None:
        raise MemberNotFound
    return InternalMember(id=member_id, state=state)


def _identity(given: IdentityRequest, *, pointer: str) -> GivenIdentity:
    return normalise_identity(
        kind=given.kind, value=given.value, app_id=given.app_id, pointer=pointer
    )


def _profile(body: ProfileRequest, *, request: Request) -> dict[str, Any]:
    today = business_day(request.app.state.clock.now())
    birthday = body.birthday
    if birthday is not None:
        birthday = read_birthday(birthday, pointer="/birthday", today=today)
    return {
        "nickname": body.nickname,
        "birthday": birthday,
        "gender": body.gender,
        "city": body.city,
        "tags": list(body.tags or []),
    }
