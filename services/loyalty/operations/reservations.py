"""Reservations that no order captures: released, or over; everything goes back.

Locks are taken in one order everywhere: the member's account, the reservation, the vouchers by id.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from services.loyalty.domain.checkout import ReservationClosed
from services.loyalty.domain.holds import give_back, last_used
from services.loyalty.domain.lots import Cause
from services.loyalty.operations.activity import missed_by, settle_returned
from services.loyalty.operations.points import lock_settled, stamp_of
from services.loyalty.operations.rewards import close_frozen
from services.loyalty.store import reservations as store
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import save_members
from services.loyalty.store.redemptions import close_redemption, used_lots
from services.loyalty.store.tables import Reservation, Voucher
from shared.contracts.loyalty import PointsRestored
from shared.db import Transaction
from shared.jobs import first_of
from shared.kernel.errors import NotFound

#: How a reservation ends without an order.
State = Literal["released", "expired"]


async def release(transaction: Transaction, *, reservation_id: str) -> None:
    """Give everything back; nothing happens when that was done before.

    Raises NotFound, and ReservationClosed when an order has captured it.
    """
    await _release(transaction, reservation_id=reservation_id, as_="released")


async def release_stale(transaction: Transaction) -> int:
    """Give back one reservation whose time is over; how many there were, 0 or 1."""

    async def give_up(reservation_id: str) -> int:
        await _release(transaction, reservation_id=reservation_id, as_="expired")
        return 1

    session, now = transaction.session, transaction.now
    stale = await store.stale_reservations(session, now=now, but=transaction.left_out)
    return await first_of(transaction, stale, give_up)


async def give_up(
    transaction: Transaction, *, member: LockedMember, reservation: Reservation
) -> LockedMember:
    """End a reservation whose time is over, under both locks; the caller saves the member."""
    return await _end(transaction, member=member, reservation=reservation, as_="expired")


async def vouchers_of(transaction: Transaction, reservation: Reservation) -> Sequence[Voucher]:
    """The vouchers of this reservation; those of rewards taken back meanwhile are frozen."""
    ids = [one["id"] for one in reservation.vouchers]
    return await store.vouchers_of(transaction.session, voucher_ids=ids) if ids else []


async def _release(transaction: Transaction, *, reservation_id: str, as_: State) -> None:
    session = transaction.session
    reservation = await store.find_reservation(session, reservation_id=reservation_id)
    if reservation is None:
        raise NotFound
    member = await lock_settled(transaction, member_id=reservation.member_id, lots="open")
    await session.refresh(reservation, with_for_update=True)
    if reservation.state in ("released", "expired"):
        return
    if reservation.state == "captured":
        raise ReservationClosed(id=reservation_id, state=reservation.state)
    while reservation.member_id != member.id:  # a merge or its reversal came in between
        member = await lock_settled(transaction, member_id=reservation.member_id, lots="open")
    member = await _end(transaction, member=member, reservation=reservation, as_=as_)
    await save_members(session, [member])


async def _end(
    transaction: Transaction, *, member: LockedMember, reservation: Reservation, as_: State
) -> LockedMember:
    """Give everything back, as of when the reservation expired if it did."""
    at = reservation.expires_at if as_ == "expired" else transaction.now
    reservation.state = as_
    reservation.closed_at = at
    for voucher in await vouchers_of(transaction, reservation):
        voucher.reservation_id = None
        if voucher.state == "frozen":
            await close_frozen(transaction, voucher=voucher, used=False)
        else:
            voucher.state = "issued"
    if reservation.redemption_id is None:
        return member
    return await _give_back(transaction, member=member, reservation=reservation, at=at)


async def _give_back(
    transaction: Transaction, *, member: LockedMember, reservation: Reservation, at: datetime
) -> LockedMember:
    session, redemption_id = transaction.session, reservation.redemption_id
    assert redemption_id is not None
    await close_redemption(session, redemption_id=redemption_id, state="released", at=at)
    restored = PointsRestored(
        member_id=member.id, redemption_id=redemption_id, points=reservation.points
    )
    transaction.record(restored, subject=member.id)
    used = await used_lots(session, member_id=member.id, redemption_id=redemption_id)
    used = last_used(used, points=reservation.points)
    lots = [lot for lot, _ in used]
    activities = await missed_by(
        transaction, member_id=member.id, lots=lots, since=reservation.created_at
    )
    account = give_back(
        member.account,
        used=used,
        debit="held",
        cause=Cause(kind="redemption", id=redemption_id),
        programme_version=member.programme.version,
        stamp=stamp_of(transaction),
        activities=activities,
        occurred_at=at,
    )
    return await settle_returned(
        transaction, member.with_account(account), lots=lots, activities=activities
    )
