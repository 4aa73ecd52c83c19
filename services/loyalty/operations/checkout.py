"""Checkout: vouchers and points held together, then captured by the order.

Locks are taken in one order everywhere: the member's account, the reservation, the vouchers by id.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from services.loyalty.domain.baskets import Basket, BasketLine, Choice, Quote
from services.loyalty.domain.checkout import ReservationClosed, ReservationUnknown, quote
from services.loyalty.domain.holds import capture, hold
from services.loyalty.domain.lots import Cause
from services.loyalty.operations.points import lock_settled, stamp_of
from services.loyalty.operations.reservations import vouchers_of
from services.loyalty.operations.rewards import close_frozen
from services.loyalty.operations.stale import release_ran_out
from services.loyalty.store import reservations as store
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import save_members
from services.loyalty.store.redemptions import add_redemption, close_redemption
from services.loyalty.store.tables import Redemption, Reservation, Voucher
from services.loyalty.store.voucher_uses import has_ordered
from shared.contracts.loyalty import PointsRedeemed, VoucherRedeemed
from shared.db import Transaction
from shared.kernel.ids import new_id


async def reserve(
    transaction: Transaction, *, member_id: str, lines: Sequence[BasketLine], choice: Choice
) -> Reservation:
    """Hold what was chosen for a basket, all or nothing, for as long as the programme says.

    What the member's earlier holds and reservations hold past their time is free again.
    Raises MemberNotFound, MemberMerged, VoucherNotUsable, PointsNotUsable, InsufficientPoints.
    """
    session = transaction.session
    member = (await lock_settled(transaction, member_id=member_id, lots="open")).active()
    member = await release_ran_out(transaction, member)
    owned = await store.vouchers_for_checkout(
        session,
        member_id=member_id,
        now=transaction.now,
        chosen=choice.voucher_ids,
        lock=True,
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
    for voucher in await vouchers_of(transaction, reservation):
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
