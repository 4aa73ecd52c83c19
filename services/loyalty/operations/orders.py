"""Orders: recorded when paid, completed when received."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.loyalty.domain.facts import AlreadyRecordedDifferently
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.orders import (
    Order,
    OrderFacts,
    OrderRefunded,
    Refund,
    earning,
)
from services.loyalty.domain.points import earn_pending, schedule
from services.loyalty.domain.programme import growth_window_start
from services.loyalty.domain.tiers import after_growth
from services.loyalty.operations.checkout import capture_reservation
from services.loyalty.operations.owners import lock_owner
from services.loyalty.operations.points import lock_settled, settle, stamp_of
from services.loyalty.operations.refunds import apply_refund
from services.loyalty.operations.tiers import note_tier
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import save_members
from services.loyalty.store.orders import (
    add_order,
    find_order,
    hold_order,
    save_completion,
    save_growth,
)
from services.loyalty.store.refunds import save_refund, waiting_refunds
from shared.contracts.loyalty import OrderCompleted, OrderPaid, PointsEarned
from shared.db import Transaction
from shared.kernel.errors import NotFound
from shared.kernel.ids import new_id


@dataclass(frozen=True, kw_only=True)
class RecordedOrder:
    """An order as it stands on record, and whether this report of it was the first."""

    order: Order
    repeated: bool


async def record_order(transaction: Transaction, *, facts: OrderFacts) -> RecordedOrder:
    """Record a paid order: points pending, growth at once, tier at once, waiting refunds applied.

    A reservation's voucher and points are used up by it. The same order again answers with what is
    on record. Raises MemberNotFound, MemberMerged, ReservationUnknown, ReservationClosed and
    AlreadyRecordedDifferently. Eight statements without a reservation, seven when it gives
    no growth; the door adds five round trips (begin, key, reply, events, commit).
    """
    session = transaction.session
    await hold_order(session, order_id=facts.order_id)
    known = await find_order(session, order_id=facts.order_id)
    if known is not None:
        return _repeated(known, facts_hash=facts.hash())
    member = (await lock_settled(transaction, member_id=facts.member_id)).active()
    if facts.reservation_id is not None:
        member = await capture_reservation(
            transaction,
            member=member,
            reservation_id=facts.reservation_id,
            order_id=facts.order_id,
        )
    order = _new_order(transaction, facts=facts, member=member)
    _note_paid(transaction, facts=facts)
    member = _earn(transaction, member=member, order=order)
    waiting = await waiting_refunds(session, order_id=order.order_id)
    member, order, refunds = _apply_waiting(
        transaction, member=member, order=order, waiting=waiting
    )
    order = replace(
        order,
        tier_at_recording=member.standing.tier_code,
        refunded_at_recording_fen=order.refunded_fen,
    )
    await save_members(session, [member])
    if not await add_order(session, order=order, facts=facts):
        raise AlreadyRecordedDifferently(id=order.order_id)
    growth = earning(order, kept_fen=order.refundable_fen).growth
    if order.growth:
        await save_growth(session, order=order, growth=growth)
    for refund in refunds:
        await save_refund(session, refund=refund, applied_at=transaction.now)
    return RecordedOrder(order=order, repeated=False)


async def complete_order(
    transaction: Transaction, *, order_id: str, completed_at: datetime
) -> RecordedOrder:
    """Mark an order as received: its points become available when the hold is over.

    The same completion again answers with what is on record. Raises NotFound, OrderRefunded and
    AlreadyRecordedDifferently. Six statements; the door adds five round trips.
    """
    session = transaction.session
    await hold_order(session, order_id=order_id)
    order = await find_order(session, order_id=order_id)
    if order is None:
        raise NotFound
    if order.completed_at is not None:
        if order.completed_at != completed_at:
            raise AlreadyRecordedDifferently(id=order_id)
        return RecordedOrder(order=order, repeated=True)
    if order.state == "refunded":
        raise OrderRefunded
    order, member = await lock_owner(transaction, order=order)
    completed = replace(order, state="completed", completed_at=completed_at)
    assert completed.available_at is not None
    transaction.record(
        OrderCompleted(order_id=order_id, member_id=order.member_id, completed_at=completed_at),
        subject=order.member_id,
    )
    scheduled = schedule(
        member.account,
        cause=Cause(kind="order", id=order_id),
        available_at=completed.available_at,
        expires_at=completed.expires_at,
    )
    await save_members(session, [settle(transaction, member.with_account(scheduled))])
    await save_completion(session, order_id=order_id, completed_at=completed_at)
    return RecordedOrder(order=completed, repeated=False)


def _repeated(known: Order, *, facts_hash: bytes) -> RecordedOrder:
    if known.facts_hash != facts_hash:
        raise AlreadyRecordedDifferently(id=known.order_id)
    return RecordedOrder(order=known, repeated=True)


def _new_order(transaction: Transaction, *, facts: OrderFacts, member: LockedMember) -> Order:
    """The order under the rules in force, with the multiplier of the tier before it."""
    programme = member.programme
    order = Order(
        order_id=facts.order_id,
        member_id=facts.member_id,
        state="paid",
        paid_fen=facts.paid_fen,
        discount_fen=facts.discount_fen,
        refunded_fen=0,
        facts_hash=facts.hash(),
        programme=programme,
        multiplier_percent=programme.tier(member.standing.tier_code).multiplier_percent,
        earned_points=0,
        clawed_back_points=0,
        growth=0,
        tier_at_recording=None,
        refunded_at_recording_fen=0,
        import_id=None,
        paid_at=facts.paid_at,
        completed_at=None,
        recorded_at=transaction.now,
    )
    earned = earning(order, kept_fen=facts.paid_fen)
    return replace(order, earned_points=earned.points, growth=earned.growth)


def _earn(transaction: Transaction, *, member: LockedMember, order: Order) -> LockedMember:
    cause = Cause(kind="order", id=order.order_id)
    account = earn_pending(
        member.account,
        lot_id=new_id("lot", at=transaction.now),
        points=order.earned_points,
        cause=cause,
        programme_version=order.programme.version,
        occurred_at=order.paid_at,
        stamp=stamp_of(transaction),
    )
    if order.earned_points:
        transaction.record(
            PointsEarned(
                member_id=member.id,
                points=order.earned_points,
                status="pending",
                available_at=None,
                expires_at=None,
                cause_kind=cause.kind,
                cause_id=cause.id,
            ),
            subject=member.id,
        )
    start = growth_window_start(member.programme, now=transaction.now)
    counts = start is None or order.paid_at >= start
    standing = after_growth(
        member.standing,
        growth=member.standing.growth + (order.growth if counts else 0),
        programme=member.programme,
        now=transaction.now,
    )
    after = member.with_account(account).with_standing(standing)
    note_tier(transaction, before=member, after=after, cause_kind=cause.kind, cause_id=cause.id)
    return after


def _apply_waiting(
    transaction: Transaction,
    *,
    member: LockedMember,
    order: Order,
    waiting: Sequence[Refund],
) -> tuple[LockedMember, Order, list[Refund]]:
    refunds = []
    for refund in waiting:
        applied = apply_refund(transaction, member=member, order=order, refund=refund)
        member, order = applied.member, applied.order
        refunds.append(applied.refund)
    return member, order, refunds


def _note_paid(transaction: Transaction, *, facts: OrderFacts) -> None:
    transaction.record(
        OrderPaid(
            order_id=facts.order_id,
            member_id=facts.member_id,
            paid_fen=facts.paid_fen,
            discount_fen=facts.discount_fen,
            paid_at=facts.paid_at,
            channel=facts.channel,
            device_id=facts.device_id,
            payer_hash=facts.payer_hash,
        ),
        subject=facts.member_id,
    )
