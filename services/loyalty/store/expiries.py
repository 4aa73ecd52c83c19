"""Whose lots are past their day, and when the next one will be."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.store.due import LOOKED_AT
from shared.sql import execute

_PAST: Final = text(
    """
    select member_id from (
      (select member_id, expires_at from point_lots as lots
       join members on members.id = lots.member_id and members.state = 'active'
       where lots.state = 'available' and remaining > 0 and expires_at <= :now
         and member_id <> all(cast(:but as text[]))
       order by expires_at limit :lots)
      union all
      (select member_id, expires_at from point_lots as lots
       join members on members.id = lots.member_id and members.state = 'active'
       where lots.state = 'pending' and available_at <= :now and expires_at <= :now
         and member_id <> all(cast(:but as text[]))
       order by available_at limit :lots)
    ) as past group by member_id order by min(expires_at), member_id limit :limit
    """
)
_NEXT: Final = text(
    """
    select least(
      (select min(expires_at) from point_lots as lots
       join members on members.id = lots.member_id and members.state = 'active'
       where lots.state in ('available', 'pending') and remaining > 0 and expires_at > :now),
      (select min(expires_at) from expiry_notices
       where state in ('announced', 'failed') and expires_at > :now)
    )
    """
)


async def members_with_lots_past_their_day(
    session: AsyncSession, *, now: datetime, but: Collection[str], limit: int
) -> Sequence[str]:
    """Some active members with points past their day, the longest past first; without these. Those
    who are not active have nobody to be told.
    """
    page = {"now": now, "but": list(but), "lots": LOOKED_AT, "limit": limit}
    rows = await execute(session, _PAST, page)
    return [row.member_id for row in rows]


async def next_day_of_a_lot(session: AsyncSession, now: datetime) -> datetime | None:
    """The next moment at which a lot or a notice has its day; None when none has."""
    found: datetime | None = (await execute(session, _NEXT, {"now": now})).scalar_one()
    return found
