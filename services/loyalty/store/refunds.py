"""What refunds must know beside their order: the lots that its points came from."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.clawbacks import DrawnLot, SpentPoints
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.store.activity import activities_since
from shared.sql import execute

# Every entry that the order caused says what it drew on: what its points paid with, what came back
# of that, and what its refunds took; of its own lot only if that ever paid debt, and only since it
# was available. Lots keep their ids in a merge: whoever was the member then, they are this one's.
_SPENT: Final = text(
    """
    select redemptions.id as redemption_id, redemptions.points as spent,
      redemptions.returned_points as returned, redemptions.created_at as since,
      lots.*, made_by.activity_months, drawn.paid, drawn.out, own
    from reservations
    join redemptions on redemptions.id = reservations.redemption_id
    cross join lateral (
      select parts.lot_id,
        coalesce(-sum(parts.points) filter (
          where 'pending' not in (entries.debit_account, entries.credit_account)
        ), 0)::bigint as out,
        bool_or(entries.kind in ('restored', 'repaid')) as paid_debt,
        coalesce(-sum(parts.points) filter (where entries.kind in ('held', 'redeemed')), 0)::bigint
          as paid
      from (
        select 'redemption', redemptions.id
        union all select 'order', cast(:order_id as text)
        union all select 'cancellation', cast(:order_id as text)
        union all select 'refund', refund_id from refunds where order_id = :order_id
      ) as causes(kind, id)
      join point_entries as entries
        on entries.cause_kind = causes.kind and entries.cause_id = causes.id
      join lot_allocations as parts
        on parts.member_id = entries.member_id and parts.entry_seq = entries.seq
      group by parts.lot_id
    ) as drawn
    join point_lots as lots on lots.member_id = :member_id and lots.id = drawn.lot_id
    join programme_versions as made_by on made_by.version = lots.programme_version
    cross join lateral (
      select (lots.cause_kind, lots.cause_id) = ('order', cast(:order_id as text)) as own
    ) as mine
    where reservations.id = :reservation_id and redemptions.state <> 'cancelled'
      and (drawn.paid_debt or not own)
    order by lots.id
    """
)


async def find_spent_points(
    session: AsyncSession,
    *,
    member_id: str,
    order_id: str,
    reservation_id: str,
    paid_at: datetime | None = None,
) -> SpentPoints | None:
    """The points that paid a part of an order, read under the lock on its member's account.

    `paid_at` is when the order was paid if it is not on record yet. None when points did not pay,
    or not out of this member's lots.
    """
    rows = await execute(
        session,
        _SPENT,
        {"member_id": member_id, "order_id": order_id, "reservation_id": reservation_id},
    )
    lots = rows.all()
    if not any(row.paid for row in lots):
        return None
    activities: list[datetime] = []
    if any(row.activity_months for row in lots):
        activities = await activities_since(session, member_id=member_id, since=lots[0].since)
        activities = sorted([*activities, *([paid_at] if paid_at else [])])
    return SpentPoints(
        redemption_id=lots[0].redemption_id,
        points=lots[0].spent,
        returned=lots[0].returned,
        lots=tuple(_drawn(row) for row in lots),
        activities=tuple(activities),
    )


def _drawn(row: Row[Any]) -> DrawnLot:
    lot = Lot(
        id=row.id,
        cause=Cause(kind=row.cause_kind, id=row.cause_id),
        state=row.state,
        points=row.points,
        remaining=row.remaining,
        available_at=row.available_at,
        expires_at=row.expires_at,
        programme_version=row.programme_version,
        created_at=row.created_at,
        renewal_months=row.activity_months,
    )
    return DrawnLot(lot=lot, paid=row.paid, out=row.out, own=row.own)
