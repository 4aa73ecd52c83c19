"""The members of an imported history: many found at once, newcomers added at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.members import GivenIdentity, MemberState, mask_phone
from services.loyalty.domain.tiers import Standing
from services.loyalty.store.vault import Vault
from shared.kernel.ids import new_id
from shared.sql import execute

#: Follows merges to whoever goes on; a member who was not merged is found at once.
_SURVIVORS: Final = """
    with recursive chain as (
      select {place}, members.id, members.state, members.merged_into,
        members.previously_erased, 1 as depth {source}
      union all
      select place, members.id, members.state, members.merged_into,
        members.previously_erased, depth + 1
      from chain join members on members.id = chain.merged_into where depth < 100
    )
    select place, id, state, case when previously_erased then (
      select max(back.created_at) from members as back
      where back.previously_erased and (back.id = chain.id or back.merged_into = chain.id)
    ) end as returned_at
    from chain where merged_into is null
"""
_BY_IDENTITY: Final = text(
    _SURVIVORS.format(
        place="given.place",
        source="""
      from unnest(cast(:kinds as text[]), cast(:app_ids as text[]), cast(:hashes as bytea[]))
        with ordinality as given(kind, app_id, value_hash, place)
      join identities using (kind, app_id, value_hash)
      join members on members.id = identities.member_id
    """,
    )
)
_BY_ID: Final = text(
    _SURVIVORS.format(place="members.id as place", source="from members where id = any(:ids)")
)
# The identities decide who is new, as in an ordinary enrolment: who loses the race adds nothing.
_ADD: Final = text(
    """
    with given as (
      select * from unnest(
        cast(:member_ids as text[]), cast(:identity_ids as text[]), cast(:kinds as text[]),
        cast(:app_ids as text[]), cast(:hashes as bytea[]), cast(:sealed as bytea[]),
        cast(:masked as text[])
      ) as given(member_id, identity_id, kind, app_id, value_hash, sealed, masked)
    ), claimed as (
      insert into identities
        (id, member_id, kind, app_id, value_hash, value_encrypted, created_at)
      select identity_id, member_id, kind, app_id, value_hash, sealed, :now
      from given order by kind, app_id, value_hash
      on conflict (kind, app_id, value_hash) do nothing
      returning member_id
    ), newcomers as (
      insert into members
        (id, state, tags, consents, phone_masked, import_id, created_at, updated_at)
      select member_id, 'active', '[]', '{}', masked, :import_id, :now, :now
      from claimed join given using (member_id)
      returning id
    ), opened as (
      insert into accounts (member_id, available, pending, held, debt, growth, tier_code,
        tier_floor, tier_since, tier_valid_until, entry_seq)
      select id, 0, 0, 0, 0, 0, :tier_code, :tier_floor, :tier_since, :tier_valid_until, 0
      from newcomers
    )
    select id from newcomers order by id
    """
)


@dataclass(frozen=True, kw_only=True)
class FoundMember:
    """Who goes on for a given member or identity, and in which state."""

    id: str
    state: MemberState
    #: When who was erased before came back, as this member or as one who lives on in this one.
    returned_at: datetime | None = None

    def has_forgotten(self, at: datetime | None) -> bool:
        """Whether what happened at a moment, or any day before, is a past that was erased."""
        return self.returned_at is not None and (at is None or at < self.returned_at)


async def members_by_identity(
    session: AsyncSession, identities: Sequence[GivenIdentity], *, vault: Vault
) -> dict[GivenIdentity, FoundMember]:
    """The members on record to whom these identities belong."""
    rows = await execute(session, _BY_IDENTITY, _named(identities, vault=vault))
    return {identities[row.place - 1]: _found(row) for row in rows}


async def members_by_id(
    session: AsyncSession, member_ids: Sequence[str]
) -> Mapping[str, FoundMember]:
    """The members on record with these ids, or whom they were merged into."""
    rows = await execute(session, _BY_ID, {"ids": list(member_ids)})
    return {row.place: _found(row) for row in rows}


async def add_members(
    session: AsyncSession,
    identities: Sequence[GivenIdentity],
    *,
    vault: Vault,
    import_id: str,
    standing: Standing,
    now: datetime,
) -> list[str]:
    """Add a member for each identity that is nobody's yet, in one statement; their ids."""
    added = await execute(
        session,
        _ADD,
        {
            "member_ids": [new_id("mem", at=now) for _ in identities],
            "identity_ids": [new_id("idn", at=now) for _ in identities],
            "sealed": [vault.encrypt(one) for one in identities],
            "masked": [
                mask_phone(one.value) if one.kind == "phone" else None for one in identities
            ],
            **_named(identities, vault=vault),
            "import_id": import_id,
            "tier_code": standing.tier_code,
            "tier_floor": standing.floor_code,
            "tier_since": standing.since,
            "tier_valid_until": standing.valid_until,
            "now": now,
        },
    )
    return list(added.scalars())


def _found(row: Row[Any]) -> FoundMember:
    return FoundMember(id=row.id, state=row.state, returned_at=row.returned_at)


def _named(identities: Sequence[GivenIdentity], *, vault: Vault) -> dict[str, list[Any]]:
    return {
        "kinds": [one.kind for one in identities],
        "app_ids": [one.app_id for one in identities],
        "hashes": [vault.hash_identity(one) for one in identities],
    }
