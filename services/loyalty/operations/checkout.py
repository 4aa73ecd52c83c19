"""Checkout: vouchers and points held together, then captured by the order or released.

Locks are taken in one order everywhere: the member's account, the reservation, the vouchers by id.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from services.loyalty.domain.baskets import Basket, BasketLine, Choice, Quote
from services.loyalty.domain.checkout import ReservationClosed, ReservationUnknown, quote
from services.loyalty.domain.holds import capture, give_back, hold, last_used
from services.loyalty.domain.lots import Cause
from services.loyalty.operations.points import lock_settled, stamp_of
from services.loyalty.operations.rewards import close_frozen
from services.loyalty.store import reservations as store
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import save_members
from services.loyalty.store.redemptions import add_redemption, close_redemption
from services.loyalty.store.tables import Redemption, Reservation, Voucher
from services.loyalty.store.voucher_uses import has_ordered
from shared.contracts.loyalty import PointsRedeemed, PointsRestored, VoucherRedeemed
from shared.db import Transaction
from shared.jobs import first_of
from shared.kernel.errors import NotFound
from shared.kernel.ids import new_id


async def reserve(
    transaction: Transaction, *, member_id: str, lines: Sequence[BasketLine], choice: Choice
) -> Reservation:
    """Hold what was chosen for a basket, all or nothing, for as long as the programme says.

    Raises MemberNotFound, MemberMerged, VoucherNotUsable, PointsNotUsable, InsufficientPoints.
    """
    session = transaction.session
    member = (await lock_settled(transaction, member_id=member_id, lots="open")).active()
    owned = await store.vouchers_for_checkout(
        session, member_id=member_id, now=transaction.now, lock=True
    )
    basket = Basket(
        lines=tuple(lines),
        has_ordered=await has_ordered(session, member_id=member_id),
        now=transaction.now,
    )
    rules = member.programme.checkout
    price = quote(
        basket,
        wallet=[voucher for _, voucher in owned],
        available=member.account.balances.available,
        rules=rules,
        choice=choice,
    )
    reservation = _reservation(transaction, member_id=member_id, basket=basket, price=price)
    reservation.expires_at += timedelta(minutes=rules.reservation_minutes)
    for voucher, _ in owned:
        if voucher.id in price.chosen.voucher_ids:
            voucher.state = "held"
            voucher.reservation_id = reservation.id
    await _hold_points(transaction, member=member, reservation=reservation)
    await store.add_reservation(session, reservation)
    return reservation


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


async def capture_reservation(
    transaction: Transaction, *, member: LockedMember, reservation_id: str, order_id: str
) -> LockedMember:
    """Use up what was held, on this order; the caller saves the member.

    A reservation past its time still counts as long as it was not released. Raises
    ReservationUnknown and ReservationClosed.
    """
    reservation = await store.find_reservation(
        transaction.session, reservation_id=reservation_id, lock=True
    )
    if reservation is None or reservation.member_id != member.id:
        raise ReservationUnknown(id=reservation_id)
    if reservation.state != "held":
        raise ReservationClosed(id=reservation_id, state=reservation.state)
    reservation.state = "captured"
    reservation.order_id = order_id
    reservation.closed_at = transaction.now
    for voucher in await _vouchers(transaction, reservation):
        await _redeem(transaction, voucher=voucher, reservation=reservation)
    if reservation.redemption_id is None:
        return member
    await close_redemption(
        transaction.session,
        redemption_id=reservation.redemption_id,
        state="redeemed",
        at=transaction.now,
    )
    redeemed = PointsRedeemed(
        member_id=member.id,
        redemption_id=reservation.redemption_id,
        points=reservation.points,
        purpose="checkout",
    )
    transaction.record(redeemed, subject=member.id)
    account = capture(
        member.account,
        points=reservation.points,
        cause=Cause(kind="redemption", id=reservation.redemption_id),
        programme_version=member.programme.version,
        stamp=stamp_of(transaction),
    )
    return member.with_account(account)


async def _release(transaction: Transaction, *, reservation_id: str, as_: str) -> None:
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
    reservation.state = as_
    reservation.closed_at = transaction.now
    for voucher in await _vouchers(transaction, reservation):
        voucher.reservation_id = None
        if voucher.state == "frozen":
            await close_frozen(transaction, voucher=voucher, used=False)
        else:
            voucher.state = "issued"
    if reservation.redemption_id is not None:
        member = await _give_back(transaction, member=member, reservation=reservation)
    await save_members(session, [member])


async def _give_back(
    transaction: Transaction, *, member: LockedMember, reservation: Reservation
) -> LockedMember:
    session, redemption_id = transaction.session, reservation.redemption_id
    assert redemption_id is not None
    await close_redemption(
        session, redemption_id=redemption_id, state="released", at=transaction.now
    )
    restored = PointsRestored(
        member_id=member.id, redemption_id=redemption_id, points=reservation.points
    )
    transaction.record(restored, subject=member.id)
    used = await store.held_lots(session, member_id=member.id, redemption_id=redemption_id)
    account = give_back(
        member.account,
        used=last_used(used, points=reservation.points),
        debit="held",
        cause=Cause(kind="redemption", id=redemption_id),
        programme_version=member.programme.version,
        stamp=stamp_of(transaction),
    )
    return member.with_account(account)


async def _hold_points(
    transaction: Transaction, *, member: LockedMember, reservation: Reservation
) -> None:
    """Hold the reservation's points, if any, and save what the member's books have become."""
    account = member.account
    if reservation.points:
        redemption = Redemption(
            id=new_id("rdm", at=transaction.now),
            member_id=member.id,
            state="held",
            points=reservation.points,
            purpose="checkout",
            reference=reservation.id,
            hold_expires_at=reservation.expires_at,
            created_at=transaction.now,
        )
        reservation.redemption_id = redemption.id
        add_redemption(transaction.session, redemption)
        account = hold(
            account,
            points=reservation.points,
            cause=Cause(kind="redemption", id=redemption.id),
            programme_version=member.programme.version,
            stamp=stamp_of(transaction),
        )
    await save_members(transaction.session, [member.with_account(account)])


async def _vouchers(transaction: Transaction, reservation: Reservation) -> Sequence[Voucher]:
    """The vouchers of this reservation; those of rewards taken back meanwhile are frozen."""
    ids = [one["id"] for one in reservation.vouchers]
    return await store.vouchers_of(transaction.session, voucher_ids=ids) if ids else []


async def _redeem(transaction: Transaction, *, voucher: Voucher, reservation: Reservation) -> None:
    assert reservation.order_id is not None
    if voucher.state == "frozen":
        await close_frozen(transaction, voucher=voucher, used=True)
    own = next(one for one in reservation.vouchers if one["id"] == voucher.id)
    voucher.state = "redeemed"
    voucher.order_id = reservation.order_id
    voucher.order_fen = reservation.basket_fen
    voucher.discount_fen = own["discount_fen"]
    voucher.redeemed_at = transaction.now
    redeemed = VoucherRedeemed(
        voucher_id=voucher.id,
        member_id=voucher.member_id,
        order_id=reservation.order_id,
        source_kind=voucher.source_kind,
        source_id=voucher.source_id,
    )
    transaction.record(redeemed, subject=voucher.member_id)


def _reservation(
    transaction: Transaction, *, member_id: str, basket: Basket, price: Quote
) -> Reservation:
    return Reservation(
        id=new_id("rsv", at=transaction.now),
        member_id=member_id,
        state="held",
        items=[asdict(line) for line in basket.lines],
        vouchers=[{"id": id_, "discount_fen": fen} for id_, fen in price.chosen.discounts],
        points=price.points,
        basket_fen=basket.total_fen,
        discount_fen=price.chosen.discount_fen,
        points_value_fen=price.points_value_fen,
        payable_fen=price.payable_fen,
        expires_at=transaction.now,
        created_at=transaction.now,
    )
