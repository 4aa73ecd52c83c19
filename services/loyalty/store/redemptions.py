"""Redemptions: points spent or held, for what, and which lots paid."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Row, exists, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.ledger import Balances
from services.loyalty.domain.lots import Allocation, Lot
from services.loyalty.store.due import LOOKED_AT
from services.loyalty.store.lots import stored_lot
from services.loyalty.store.tables import Redemption, Reservation
from shared.kernel.records import replace
from shared.sql import execute

# By the redemption alone, since entries stay where they were when their member was merged into
# another. What came back to a lot and repaid debt from there is back all the same.
_LOTS_USED: Final = """
    select lots.*, made_by.activity_months, paid.points as paid from (
      select parts.lot_id, -sum(parts.points)::bigint as points
      from point_entries as entries
      join lot_allocations as parts
        on parts.member_id = entries.member_id and parts.entry_seq = entries.seq
      where entries.cause_kind = 'redemption' and entries.cause_id {whose}
        and entries.kind <> 'repaid'
      group by parts.lot_id having sum(parts.points) < 0
    ) as paid
    join point_lots as lots on lots.member_id = :member_id and lots.id = paid.lot_id
    join programme_versions as made_by on made_by.version = lots.programme_version
    order by lots.id
"""
_USED_LOTS: Final = text(_LOTS_USED.format(whose="= :redemption_id"))
_LOTS_HELD: Final = text(
    _LOTS_USED.format(
        whose="in (select id from redemptions where member_id = :member_id and state = 'held')"
    )
)
_STALE: Final = text(
    """
    select member_id from (
      select member_id, hold_expires_at from redemptions as held
      where state = 'held' and hold_expires_at <= :now
        and member_id <> all(cast(:but as text[]))
        and not exists (
          select from members where members.id = held.member_id and merged_into is not null)
        and not exists (
          select from reservations
          where reservations.id = held.reference and reservations.redemption_id = held.id)
      order by hold_expires_at limit :holds
    ) as due group by member_id order by min(hold_expires_at), member_id limit :limit
    """
)
_AS_HELD: Final = text(
    """
    select available_after, pending_after, held_after, debt_after, (
      select json_agg(json_build_object('lot_id', lot_id, 'points', points))
      from lot_allocations as parts
      where parts.member_id = entries.member_id and parts.entry_seq = entries.seq
    )::text as lots
    from point_entries as entries
    where kind = 'held' and cause_kind = 'redemption' and cause_id = :redemption_id
    """
)


def add_redemption(session: AsyncSession, redemption: Redemption) -> None:
    """Record a redemption; it is written when the transaction ends."""
    session.add(redemption)


async def find_redemption(session: AsyncSession, *, redemption_id: str) -> Redemption | None:
    """The redemption of an id as it is by now, if there is one."""
    found = await session.exec(
        select(Redemption)
        .where(Redemption.id == redemption_id)
        .execution_options(populate_existing=True)
    )
    return found.one_or_none()


async def close_redemption(
    session: AsyncSession, *, redemption_id: str, state: str, at: datetime
) -> None:
    """End a hold as a whole: `redeemed`, or `released`, when all its points are back."""
    returned = Redemption.points if state == "released" else Redemption.returned_points
    await execute(
        session,
        update(Redemption)
        .where(col(Redemption.id) == redemption_id)
        .values(state=state, closed_at=at, returned_points=returned),
    )


async def find_hold(
    session: AsyncSession, *, member_id: str, purpose: str, reference: str
) -> Redemption | None:
    """What is held for a member, a purpose and a reference; there is one at most."""
    found = await session.exec(
        select(Redemption).where(
            col(Redemption.member_id) == member_id,
            col(Redemption.purpose) == purpose,
            col(Redemption.reference) == reference,
            col(Redemption.state) == "held",
        )
    )
    return found.one_or_none()


async def is_of_checkout(session: AsyncSession, *, redemption: Redemption) -> bool:
    """Whether a reservation owns the redemption; its reference then is the reservation's id."""
    found = await session.exec(
        select(Reservation.id).where(
            col(Reservation.id) == redemption.reference,
            col(Reservation.redemption_id) == redemption.id,
        )
    )
    return found.one_or_none() is not None


async def members_with_stale_holds(
    session: AsyncSession, *, now: datetime, but: Collection[str], limit: int
) -> Sequence[str]:
    """Some members with holds whose time is over, those first whose ended first, without these.
    Holds of the checkout do not count.

    Who was merged into another has none: what was held went along.
    """
    page = {"now": now, "but": list(but), "holds": LOOKED_AT, "limit": limit}
    rows = await execute(session, _STALE, page)
    return [row.member_id for row in rows]


async def stale_holds(
    session: AsyncSession, *, member_ids: Sequence[str], now: datetime, limit: int | None
) -> Sequence[Redemption]:
    """Holds of locked members whose time is over, oldest first, those of the checkout apart."""
    found = await session.exec(
        select(Redemption)
        .where(
            *_own_holds(),
            col(Redemption.member_id).in_(member_ids),
            col(Redemption.hold_expires_at) <= now,
        )
        .order_by(col(Redemption.hold_expires_at), col(Redemption.id))
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    return found.all()


async def next_hold_end(session: AsyncSession, now: datetime) -> datetime | None:
    """The first moment after `now` at which a hold runs out; None when nothing is held."""
    found = await session.exec(
        select(Redemption.hold_expires_at)
        .where(*_own_holds(), col(Redemption.hold_expires_at) > now)
        .order_by(col(Redemption.hold_expires_at))
        .limit(1)
    )
    return found.first()


async def used_lots(
    session: AsyncSession, *, member_id: str, redemption_id: str
) -> list[tuple[Lot, int]]:
    """The lots that pay for a redemption, as they are now, and how much each of them pays.

    What has gone back to a lot under the redemption's name no longer counts, even where it paid
    debt at once. Lots keep their ids in a merge: whoever was the member then, they are this one's
    now.
    """
    rows = await execute(
        session, _USED_LOTS, {"member_id": member_id, "redemption_id": redemption_id}
    )
    return [_part(row) for row in rows]


async def lots_held(session: AsyncSession, *, member_id: str) -> list[tuple[Lot, int]]:
    """The lots of which points are held at present, at checkout too, and how many of each."""
    rows = await execute(session, _LOTS_HELD, {"member_id": member_id})
    return [_part(row) for row in rows]


async def as_held(
    session: AsyncSession, *, redemption: Redemption
) -> tuple[Balances, tuple[Allocation, ...]]:
    """The balances just after points were held, and the lots that gave them."""
    found = await execute(
        session,
        _AS_HELD,
        {"redemption_id": redemption.id},
    )
    row = found.one()
    balances = Balances(
        available=row.available_after,
        pending=row.pending_after,
        held=row.held_after,
        debt=row.debt_after,
    )
    return balances, tuple(Allocation(**part) for part in orjson.loads(row.lots))


def _part(row: Row[Any]) -> tuple[Lot, int]:
    return replace(stored_lot(row), renewal_months=row.activity_months), row.paid


def _own_holds() -> tuple[ColumnElement[bool], ...]:
    """What is held and not owned by a reservation of the checkout."""
    reserved = exists().where(
        col(Reservation.id) == col(Redemption.reference),
        col(Reservation.redemption_id) == col(Redemption.id),
    )
    return col(Redemption.state) == "held", ~reserved
