"""The movements that imports posted: known by member and reference, recorded many at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.imports import OwnedLine
from services.loyalty.domain.imports_points import IMPORT, PointsLine
from shared.sql import execute

# A movement posted to a member who was merged since counts as the survivor's: the same file, sent
# again after the merge, must not post it twice. Nor must it once the merge was taken back: what the
# survivor's row got meanwhile may have been the other's line, so it counts for either. Meanwhile
# is what `next_moment` makes it: the order in which the accounts were held, not what clocks said.
_KNOWN: Final = text(
    """
    with recursive given as (
      select * from unnest(cast(:member_ids as text[]), cast(:references as text[]))
        as given(member_id, reference)
    ), family as (
      select distinct member_id as owner, member_id, timestamptz '-infinity' as since,
        timestamptz 'infinity' as until
      from given
      union
      select owner, other.member_id, greatest(family.since, other.since),
        least(family.until, other.until)
      from family cross join lateral (
        select id as member_id, timestamptz '-infinity' as since, timestamptz 'infinity' as until
        from members where merged_into = family.member_id
        union all
        select member_id, merged_at, reversed_at from member_merges
        where source_member_id = family.member_id and reversed_at is not null
      ) as other
      where greatest(family.since, other.since) <= least(family.until, other.until)
    )
    select family.owner, known.reference, known.facts_hash
    from given
    join family on family.owner = given.member_id
    join imported_movements as known
      on known.member_id = family.member_id and known.reference = given.reference
      and known.recorded_at between family.since and family.until
    """
)
# What people wrote stands beside the entries, which are hashed and stay when a member is erased.
_ADD: Final = text(
    f"""
    with given as (
      select * from unnest(
        cast(:member_ids as text[]), cast(:references as text[]), cast(:kinds as text[]),
        cast(:hashes as bytea[]), cast(:reasons as text[])
      ) as given(member_id, reference, kind, facts_hash, reason)
    ), told as (
      insert into entry_reasons (cause_kind, cause_id, member_id, reason)
      select '{IMPORT}', reference, member_id, reason from given where reason is not null
    )
    insert into imported_movements
      (member_id, reference, kind, facts_hash, import_id, recorded_at)
    select member_id, reference, kind, facts_hash, :import_id, greatest(:now, (
      select max(greatest(merged_at, reversed_at)) + interval '1 microsecond'
      from member_merges where member_merges.member_id = given.member_id
    )) from given
    """  # noqa: S608 - a constant
)
_NEXT_MOMENT: Final = text(
    """
    select greatest(cast(:now as timestamptz), max(noted_at) + interval '1 microsecond') from (
      select max(recorded_at) as noted_at from imported_movements
      where member_id = any(:member_ids)
      union all
      select max(greatest(merged_at, reversed_at)) from member_merges
      where member_id = any(:member_ids) or source_member_id = any(:member_ids)
    ) as noted
    """
)


async def known_movements(
    session: AsyncSession, owned: Sequence[OwnedLine[PointsLine]]
) -> Mapping[tuple[str, str], bytes]:
    """The facts on record under these members and references. The accounts must be locked."""
    rows = await execute(
        session,
        _KNOWN,
        {
            "member_ids": [one.member_id for one in owned],
            "references": [one.line.reference for one in owned],
        },
    )
    return {(row.owner, row.reference): row.facts_hash for row in rows}


async def add_movements(
    session: AsyncSession,
    posted: Sequence[OwnedLine[PointsLine]],
    *,
    import_id: str,
    now: datetime,
) -> None:
    """Record what was posted, so that it never is again. The accounts must be locked.

    Each is noted as later than every merge into its member: see `next_moment`.
    """
    await execute(
        session,
        _ADD,
        {
            "member_ids": [one.member_id for one in posted],
            "references": [one.line.reference for one in posted],
            "kinds": [one.line.kind for one in posted],
            "hashes": [one.line.facts_hash() for one in posted],
            "reasons": [one.line.reason for one in posted],
            "import_id": import_id,
            "now": now,
        },
    )


async def next_moment(
    session: AsyncSession, *, member_ids: Sequence[str], now: datetime
) -> datetime:
    """When a merge or reversal of these members, whose accounts are locked, takes effect.

    That is now, but always later than what is on record of them. `now` is when the transaction
    began: it may have waited since, and the clock of another process may be ahead, or a sandbox's
    stand still. Merges, reversals and imported movements of a member all hold the account, so
    moments that only grow from one to the next tell what came between two of them, whatever the
    clocks.
    """
    found = await execute(session, _NEXT_MOMENT, {"member_ids": list(member_ids), "now": now})
    moment: datetime = found.scalar_one()
    return moment
