"""Orders: recorded when paid, completed when received."""

from dataclasses import dataclass
from datetime import datetime

from services.loyalty.domain.facts import AlreadyRecordedDifferently
from services.loyalty.domain.order_decisions import Recorded, complete, record
from services.loyalty.domain.orders import CompletionFacts, Order, OrderFacts
from services.loyalty.operations.activity import note_activity
from services.loyalty.operations.checkout import capture_reservation
from services.loyalty.operations.order_books import (
    load_books,
    note_completed,
    save_books,
    spent_on,
)
from services.loyalty.operations.points import lock_settled, stamp_of
from services.loyalty.operations.tiers import note_tier
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.order_changes import add_early_completion
from services.loyalty.store.orders import find_record, hold_order
from shared.contracts.loyalty import OrderPaid, PointsEarned
from shared.db import Occasion, Transaction
from shared.kernel.ids import new_id


@dataclass(frozen=True, kw_only=True)
class RecordedOrder:
    """An order as it stands on record, and whether this report of it was the first."""

    order: Order
    repeated: bool


@dataclass(frozen=True, kw_only=True)
class Completion:
    """That an order was received; `order` is None while it is not known itself."""

    order_id: str
    completed_at: datetime
    order: Order | None


async def record_order(transaction: Transaction, *, facts: OrderFacts) -> RecordedOrder:
    """Record a paid order: points pending, growth at once, tier at once, then what waited for it.

    A reservation's voucher and points are used up by it. The same order again answers with what is
    on record. Raises MemberNotFound, MemberMerged, ReservationUnknown, ReservationClosed and
    AlreadyRecordedDifferently. Six statements without a reservation; the door adds five round
    trips (begin, key, reply, events, commit).
    """
    session = transaction.session
    await hold_order(session, order_id=facts.order_id)
    known = await find_record(session, order_id=facts.order_id)
    if known.order is not None:
        return repeated_order(known.order, facts=facts)
    member = (await lock_settled(transaction, member_id=facts.member_id)).active()
    if facts.reservation_id is not None:
        member = await capture_reservation(
            transaction,
            member=member,
            reservation_id=facts.reservation_id,
            order_id=facts.order_id,
        )
    member = await note_activity(transaction, member, at=facts.paid_at)
    waiting = known.waiting
    recorded = record(
        member.account,
        standing=member.standing,
        programme=member.programme,
        facts=facts,
        waiting=waiting,
        spent=await spent_on(transaction, order=facts) if waiting.takes_back else None,
        lot_id=new_id("lot", at=transaction.now),
        stamp=stamp_of(transaction),
    )
    note_recorded(transaction, member=member, facts=facts, recorded=recorded)
    cause = recorded.earned.cause
    note_tier(
        transaction,
        before=member,
        after=member.with_standing(recorded.earned.standing),
        cause_kind=cause.kind,
        cause_id=cause.id,
    )
    await save_books(
        transaction, member=member, books=recorded.books, steps=recorded.went_back, facts=facts
    )
    return RecordedOrder(order=recorded.books.order, repeated=False)


async def complete_order(transaction: Transaction, *, facts: CompletionFacts) -> Completion:
    """Mark an order as received: its points become available when the hold is over.

    For what batches leave (`operations.completion_batches`). Before its order is known it waits for
    it; after all of it went back it changes nothing else. The same completion again answers with
    what is on record. Raises AlreadyRecordedDifferently. Six statements, three when it waits; the
    door adds five round trips.
    """
    session, order_id, at = transaction.session, facts.order_id, facts.completed_at
    await hold_order(session, order_id=order_id)
    known = await find_record(session, order_id=order_id)
    order = known.order
    before = known.early_completion if order is None else order.completed_at
    if before is not None:
        return repeated_completion(facts, order=order, known=before)
    if order is None:
        await add_early_completion(
            session, order_id=order_id, completed_at=at, recorded_at=transaction.now
        )
        return Completion(order_id=order_id, completed_at=at, order=None)
    member, books = await load_books(transaction, record=known, order=order)
    books = complete(books, completed_at=at)
    note_completed(transaction, order=books.order)
    await save_books(transaction, member=member, books=books)
    return Completion(order_id=order_id, completed_at=at, order=books.order)


def repeated_completion(
    facts: CompletionFacts, *, order: Order | None, known: datetime
) -> Completion:
    """The completion on record, if it is the same. Raises AlreadyRecordedDifferently."""
    if known != facts.completed_at:
        raise AlreadyRecordedDifferently(id=facts.order_id)
    return Completion(order_id=facts.order_id, completed_at=known, order=order)


def repeated_order(known: Order, *, facts: OrderFacts) -> RecordedOrder:
    """The order on record, if it is the same. Raises AlreadyRecordedDifferently."""
    if known.facts_hash != facts.hash():
        raise AlreadyRecordedDifferently(id=facts.order_id)
    return RecordedOrder(order=known, repeated=True)


def note_recorded(
    occasion: Occasion, *, member: LockedMember, facts: OrderFacts, recorded: Recorded
) -> None:
    """Tell that an order was paid, what it earned, and that it was received if so."""
    paid = OrderPaid(
        order_id=facts.order_id,
        member_id=facts.member_id,
        paid_fen=facts.paid_fen,
        discount_fen=facts.discount_fen,
        paid_at=facts.paid_at,
        channel=facts.channel,
        device_id=facts.device_id,
        payer_hash=facts.payer_hash,
    )
    occasion.record(paid, subject=facts.member_id)
    cause, order = recorded.earned.cause, recorded.books.order
    if recorded.earned.order.earned_points:
        earned = PointsEarned(
            member_id=member.id,
            points=recorded.earned.order.earned_points,
            status="pending",
            # Known already where the completion came first.
            available_at=order.available_at,
            expires_at=order.expires_at,
            cause_kind=cause.kind,
            cause_id=cause.id,
        )
        occasion.record(earned, subject=member.id)
    if recorded.books.order.completed_at is not None:
        note_completed(occasion, order=recorded.books.order)
