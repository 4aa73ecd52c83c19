"""Reservations, and what a checkout must read of the wallet."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ARRAY, Text, all_, literal, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.baskets import OwnedVoucher
from services.loyalty.domain.lots import Lot
from services.loyalty.store.lots import stored_lot
from services.loyalty.store.tables import Reservation, Voucher, VoucherTemplate
from services.loyalty.store.vouchers import standing_of
from shared.jobs import TRIED_PER_STEP
from shared.sql import execute

#: A wallet with more vouchers than this is quoted by the ones that lapse soonest.
_VOUCHERS_MAX: Final = 200
_HELD_LOTS: Final = text(
    """
    select lots.*, -parts.points as held
    from point_entries as entries
    join lot_allocations as parts
      on parts.member_id = entries.member_id and parts.entry_seq = entries.seq
    join point_lots as lots on lots.member_id = :member_id and lots.id = parts.lot_id
    where entries.kind = 'held' and entries.cause_kind = 'redemption'
      and entries.cause_id = :redemption_id
    order by lots.id
    """
)


async def vouchers_for_checkout(
    session: AsyncSession, *, member_id: str, now: datetime, lock: bool = False
) -> list[tuple[Voucher, OwnedVoucher]]:
    """The member's vouchers that are not used up, soonest to lapse first; locked if wanted."""
    wanted = (
        select(Voucher, VoucherTemplate)
        .join(VoucherTemplate, col(VoucherTemplate.id) == col(Voucher.template_id))
        .where(
            col(Voucher.member_id) == member_id,
            col(Voucher.state).in_(("issued", "held", "frozen")),
            col(Voucher.expires_at) > now,
        )
        .order_by(col(Voucher.expires_at), col(Voucher.id))
        .limit(_VOUCHERS_MAX)
    )
    if lock:
        wanted = wanted.with_for_update(of=Voucher)
    return [
        (voucher, _owned(voucher, template)) for voucher, template in await session.exec(wanted)
    ]


async def add_reservation(session: AsyncSession, reservation: Reservation) -> None:
    """Write a new reservation."""
    session.add(reservation)
    await session.flush()


async def find_reservation(
    session: AsyncSession, *, reservation_id: str, lock: bool = False
) -> Reservation | None:
    """One reservation; with `lock`, nobody else changes it until commit."""
    wanted = select(Reservation).where(col(Reservation.id) == reservation_id)
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    return (await session.exec(wanted)).one_or_none()


async def stale_reservations(
    session: AsyncSession, *, now: datetime, but: Collection[str], limit: int = TRIED_PER_STEP
) -> Sequence[str]:
    """The ids of some reservations whose time is over, those that ended first, without these."""
    found = await session.exec(
        select(Reservation.id)
        .where(
            col(Reservation.state) == "held",
            col(Reservation.expires_at) <= now,
            col(Reservation.id) != all_(literal(list(but), ARRAY(Text))),
        )
        .order_by(col(Reservation.expires_at), col(Reservation.id))
        .limit(limit)
    )
    return found.all()


async def vouchers_of(session: AsyncSession, *, voucher_ids: Sequence[str]) -> Sequence[Voucher]:
    """Vouchers by id, locked in order of their ids."""
    found = await session.exec(
        select(Voucher)
        .where(col(Voucher.id).in_(voucher_ids))
        .order_by(col(Voucher.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.all()


async def held_lots(
    session: AsyncSession, *, member_id: str, redemption_id: str
) -> list[tuple[Lot, int]]:
    """The lots that a hold took from, as they are now, and how much it took of each.

    Lots keep their ids in a merge: whoever was the member then, they are this one's now.
    """
    rows = await execute(
        session, _HELD_LOTS, {"member_id": member_id, "redemption_id": redemption_id}
    )
    return [
        (
            stored_lot(row),
            row.held,
        )
        for row in rows
    ]


def _owned(voucher: Voucher, template: VoucherTemplate) -> OwnedVoucher:
    standing = standing_of(voucher)
    return OwnedVoucher(
        id=voucher.id,
        state=standing.state,
        worth=standing.worth,
        period=standing.period,
        scope=template.scope,
        stackable=template.stackable,
    )
