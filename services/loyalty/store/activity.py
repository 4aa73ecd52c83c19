"""When a member was active: what renews the lots that follow activity."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.sql import execute

# As operations.activity has it: an order counts from when it was paid but not before it was known
# and, of one that was reserved at checkout, its capture counts as the order. Imported ones are no
# activity. Of each month of ours the first is told: the others add nothing to it.
_SINCE: Final = text(
    """
    select min(at) as at from (
      select least(paid_at, recorded_at) as at from orders
      where member_id = :member_id and import_id is null and recorded_at >= :since
      union all
      select created_at from redemptions
      where member_id = :member_id and hold_expires_at is null and created_at >= :since
      union all
      select entries.recorded_at from redemptions
      join point_entries as entries on entries.cause_kind = 'redemption'
        and entries.cause_id = redemptions.id and entries.kind = 'captured'
      where redemptions.member_id = :member_id and hold_expires_at is not null
        and entries.recorded_at >= :since
        and not exists (
          select from reservations
          where reservations.id = reference and redemption_id = redemptions.id
        )
    ) as activities
    group by date_trunc('month', at at time zone 'Asia/Shanghai') order by 1
    """
)

#: Who waits for an account has looked at the clock before: longer than anybody waits.
_WAITING: Final = timedelta(minutes=1)


async def activities_since(
    session: AsyncSession, *, member_id: str, since: datetime
) -> list[datetime]:
    """When a member paid an order or spent points since a moment; the first of each month."""
    rows = await execute(session, _SINCE, {"member_id": member_id, "since": since - _WAITING})
    return [row.at for row in rows]
