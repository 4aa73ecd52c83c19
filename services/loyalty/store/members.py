"""Members and their identities: found by keyed hashes, added so that each belongs to one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import orjson
from sqlalchemy import Row, text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.members import GivenIdentity, MemberState, Profile
from services.loyalty.domain.programme import Programme, read_programme
from services.loyalty.domain.tiers import Standing
from services.loyalty.store.programme import PROGRAMME_IN_FORCE
from services.loyalty.store.tables import Account, Member
from services.loyalty.store.vault import Vault
from shared.kernel.ids import new_id
from shared.sql import execute

#: How to hold members' rows: to read them, or to change one.
Hold: TypeAlias = Literal["share", "no key update"]

# Sorted, so that two enrolments with the same identities wait for each other, never in a ring.
_CLAIM: Final = text(
    """
    insert into identities
      (id, member_id, kind, app_id, value_hash, value_encrypted, created_at)
    select id, :member_id, kind, app_id, value_hash, value_encrypted, :now
    from unnest(
      cast(:ids as text[]), cast(:kinds as text[]), cast(:app_ids as text[]),
      cast(:hashes as bytea[]), cast(:sealed as bytea[])
    ) as given(id, kind, app_id, value_hash, value_encrypted)
    order by kind, app_id, value_hash
    on conflict (kind, app_id, value_hash) do nothing
    returning id
    """
)
_OWNERS: Final = text(
    """
    select distinct members.id, members.state, members.merged_into
    from unnest(cast(:kinds as text[]), cast(:app_ids as text[]), cast(:hashes as bytea[]))
      as given(kind, app_id, value_hash)
    join identities using (kind, app_id, value_hash)
    join members on members.id = identities.member_id
    """
)
# As above, with the owners' rows kept from a merge or erasure until commit.
_OWNERS_HELD: Final = """
    select members.id, members.state, members.merged_into from members
    where members.id in (
      select member_id from unnest(
        cast(:kinds as text[]), cast(:app_ids as text[]), cast(:hashes as bytea[])
      ) as given(kind, app_id, value_hash)
      join identities using (kind, app_id, value_hash)
    )
    order by members.id for {strength}
"""
_HAND_OVER: Final = text(
    """
    with handed as (
      update identities set member_id = :owner where member_id = :claimed returning id
    )
    update members set phone_masked = coalesce(phone_masked, :phone_masked), updated_at = :now
    where id = :owner and exists (select from handed)
    """
)
_SHOW: Final = text(
    f"""
    select members.id, members.state, members.merged_into, members.nickname, members.birthday,
      members.gender, members.city, members.tags::text as tags,
      members.consents::text as consents, members.phone_masked, members.created_at,
      members.updated_at, accounts.tier_code, programme.version, programme.rules,
      (select coalesce(json_agg(json_build_array(kind, app_id) order by created_at, kind, id), '[]')
       from identities where member_id = members.id)::text as identities
    from members join accounts on accounts.member_id = members.id
    cross join {PROGRAMME_IN_FORCE} as programme
    where members.id = :member_id
    """  # noqa: S608 - a constant
)
_STATE: Final = text("select id, state from members where id = :member_id")


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A member to whom an identity belongs."""

    id: str
    state: MemberState
    merged_into: str | None


@dataclass(frozen=True, kw_only=True)
class MemberView:
    """A member as shown, without anything that identifies them outside."""

    id: str
    state: MemberState
    merged_into: str | None
    nickname: str | None
    birthday: str | None
    gender: str | None
    city: str | None
    tags: list[str]
    consents: dict[str, Any]
    phone_masked: str | None
    identities: list[tuple[str, str]]
    tier_code: str
    programme: Programme
    created_at: datetime
    updated_at: datetime


async def claim_identities(
    session: AsyncSession,
    identities: Sequence[GivenIdentity],
    *,
    member_id: str,
    vault: Vault,
    now: datetime,
) -> int:
    """Give a member those identities that are nobody's yet; says how many those are.

    Waits for whoever is claiming one of them at the same time.
    """
    claimed = await execute(
        session,
        _CLAIM,
        {
            "member_id": member_id,
            "now": now,
            "ids": [new_id("idn", at=now) for _ in identities],
            "sealed": [vault.encrypt(one) for one in identities],
            **_named(identities, vault=vault),
        },
    )
    return len(claimed.all())


async def owners_of(
    session: AsyncSession,
    identities: Sequence[GivenIdentity],
    *,
    vault: Vault,
    hold: Hold | None = None,
) -> Sequence[Owner]:
    """The members on record to whom some of these identities belong.

    With `hold`, none of them is merged or erased until commit.
    """
    wanted = _OWNERS if hold is None else text(_OWNERS_HELD.format(strength=hold))
    rows = await execute(session, wanted, _named(identities, vault=vault))
    return [Owner(id=row.id, state=row.state, merged_into=row.merged_into) for row in rows]


async def hand_over_identities(
    session: AsyncSession, *, claimed: str, owner: str, phone_masked: str | None, now: datetime
) -> None:
    """Give to a known member what was claimed for a newcomer who turned out to be them."""
    await execute(
        session,
        _HAND_OVER,
        {"claimed": claimed, "owner": owner, "phone_masked": phone_masked, "now": now},
    )


def add_member(
    session: AsyncSession,
    *,
    member_id: str,
    profile: Profile,
    consents: dict[str, Any],
    phone_masked: str | None,
    previously_erased: bool,
    standing: Standing,
    now: datetime,
) -> None:
    """Add a member with an empty account; written when the transaction ends."""
    session.add(
        Member(
            id=member_id,
            state="active",
            nickname=profile.nickname,
            birthday=profile.birthday,
            gender=profile.gender,
            city=profile.city,
            tags=list(profile.tags),
            consents=consents,
            phone_masked=phone_masked,
            previously_erased=previously_erased,
            created_at=now,
            updated_at=now,
        )
    )
    session.add(
        Account(
            member_id=member_id,
            tier_code=standing.tier_code,
            tier_floor=standing.floor_code,
            tier_since=standing.since,
            tier_valid_until=standing.valid_until,
        )
    )


async def find_member(session: AsyncSession, *, member_id: str, now: datetime) -> MemberView | None:
    """A member as shown; None if unknown or erased."""
    found = await execute(session, _SHOW, {"member_id": member_id, "now": now})
    row = found.one_or_none()
    return None if row is None or row.state == "erased" else _view(row)


async def lock_profile(session: AsyncSession, *, member_id: str) -> Member | None:
    """The member's own row, kept from others until commit."""
    return await session.get(Member, member_id, with_for_update=True)


async def member_state(session: AsyncSession, *, member_id: str) -> MemberState | None:
    """Whether there is such a member, and in which state."""
    row = (await execute(session, _STATE, {"member_id": member_id})).one_or_none()
    return None if row is None else row.state


def _named(identities: Sequence[GivenIdentity], *, vault: Vault) -> dict[str, list[Any]]:
    return {
        "kinds": [one.kind for one in identities],
        "app_ids": [one.app_id for one in identities],
        "hashes": [vault.hash_identity(one) for one in identities],
    }


def _view(row: Row[Any]) -> MemberView:
    return MemberView(
        id=row.id,
        state=row.state,
        merged_into=row.merged_into,
        nickname=row.nickname,
        birthday=row.birthday,
        gender=row.gender,
        city=row.city,
        tags=orjson.loads(row.tags),
        consents=orjson.loads(row.consents),
        phone_masked=row.phone_masked,
        identities=[(kind, app_id) for kind, app_id in orjson.loads(row.identities)],
        tier_code=row.tier_code,
        programme=read_programme(row.version, row.rules),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
