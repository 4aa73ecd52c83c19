"""Whose lots are past their day, and when the next one will be."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.sql import execute

_PAST: Final = text(
    """
    select distinct member_id from (
      (select member_id from point_lots as lots
       join members on members.id = lots.member_id and members.state = 'active'
       where lots.state = 'available' and remaining > 0 and expires_at <= :now
       order by expires_at limit :limit)
      union all
      (select member_id from point_lots as lots
       join members on members.id = lots.member_id and members.state = 'active'
       where lots.state = 'pending' and available_at <= :now and expires_at <= :now
       order by available_at limit :limit)
    ) as past order by member_id
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
    session: AsyncSession, *, now: datetime, limit: int
) -> Sequence[str]:
    """Some active members with points past their day; those of others have nobody to be told."""
    rows = await execute(session, _PAST, {"now": now, "limit": limit})
    return [row.member_id for row in rows]


async def next_day_of_a_lot(session: AsyncSession, now: datetime) -> datetime | None:
    """The next moment at which a lot or a notice has its day; None when none has."""
    found: datetime | None = (await execute(session, _NEXT, {"now": now})).scalar_one()
    return found
