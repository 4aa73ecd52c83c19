"""Reservations, and what a checkout must read of the wallet."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ARRAY, Text, all_, literal, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.baskets import OwnedVoucher
from services.loyalty.store.tables import Reservation, Voucher, VoucherTemplate
from services.loyalty.store.vouchers import standing_of
from shared.jobs import TRIED_PER_STEP
from shared.sql import execute

#: A wallet with more vouchers than this is quoted by those that lapse soonest, and the chosen.
_VOUCHERS_MAX: Final = 200
_ANYTHING_RAN_OUT: Final = text(
    """
    select exists (
      select from redemptions
      where member_id = :member_id and state = 'held' and hold_expires_at <= :now
    ) or exists (
      select from reservations
      where member_id = :member_id and state = 'held' and expires_at <= :now
    )
    """
)


async def vouchers_for_checkout(
    session: AsyncSession,
    *,
    member_id: str,
    now: datetime,
    chosen: Sequence[str] = (),
    lock: bool = False,
) -> list[tuple[Voucher, OwnedVoucher]]:
    """The member's vouchers that are not used up, soonest to lapse first; locked if wanted.

    Of very many some, and those that were `chosen` in any case.
    """
    usable = (
        select(Voucher, VoucherTemplate)
        .join(VoucherTemplate, col(VoucherTemplate.id) == col(Voucher.template_id))
        .where(
            col(Voucher.member_id) == member_id,
            col(Voucher.state).in_(("issued", "held", "frozen")),
            col(Voucher.expires_at) > now,
        )
        .order_by(col(Voucher.expires_at), col(Voucher.id))
    )
    if lock:
        usable = usable.with_for_update(of=Voucher)
    found = list(await session.exec(usable.limit(_VOUCHERS_MAX)))
    beyond = set(chosen) - {voucher.id for voucher, _ in found}
    if beyond and len(found) == _VOUCHERS_MAX:
        found += await session.exec(usable.where(col(Voucher.id).in_(beyond)))
    return [(voucher, _owned(voucher, template)) for voucher, template in found]


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


async def anything_ran_out(session: AsyncSession, *, member_id: str, now: datetime) -> bool:
    """Whether a hold or a reservation of a member is past its time and not released yet."""
    asked = {"member_id": member_id, "now": now}
    return bool((await execute(session, _ANYTHING_RAN_OUT, asked)).scalar_one())


async def reservations_ran_out(
    session: AsyncSession, *, member_id: str, now: datetime
) -> Sequence[Reservation]:
    """Reservations of a locked member whose time is over, in the order of their ends; locked."""
    found = await session.exec(
        select(Reservation)
        .where(
            col(Reservation.member_id) == member_id,
            col(Reservation.state) == "held",
            col(Reservation.expires_at) <= now,
        )
        .order_by(col(Reservation.expires_at), col(Reservation.id))
        .with_for_update()
        .execution_options(populate_existing=True)
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
