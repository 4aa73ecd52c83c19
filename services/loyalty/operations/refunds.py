"""Refunds: what goes back of an order takes points and growth with it, in any split and order."""

from dataclasses import dataclass
from datetime import datetime

from services.loyalty.domain.facts import AlreadyRecordedDifferently
from services.loyalty.domain.order_decisions import decide_refund
from services.loyalty.domain.orders import Order
from services.loyalty.domain.refunds import Refund, RefundFacts
from services.loyalty.operations.order_books import load_books, save_books
from services.loyalty.operations.points import stamp_of
from services.loyalty.store.order_changes import OrderChanges, save_orders
from services.loyalty.store.orders import OrderRecord, find_record, hold_order
from shared.db import Transaction


@dataclass(frozen=True, kw_only=True)
class RecordedRefund:
    """A refund as it stands on record, and whether this report of it was the first."""

    refund: Refund
    order: Order | None
    repeated: bool


async def record_refund(transaction: Transaction, *, facts: RefundFacts) -> RecordedRefund:
    """Record a refund and take back what it earned; before its order is known it waits for it.

    For what batches leave (`operations.refund_batches`). Points that paid a part of the order come
    back in proportion. The same refund again answers with what is on record. Six statements, one
    more for an order with a reservation, three when it waits; the door adds five round trips.
    Raises AlreadyRecordedDifferently, RefundExceedsPayment, RefundItemUnknown and
    RefundItemExceeded.
    """
    session = transaction.session
    await hold_order(session, order_id=facts.order_id)
    known = await find_record(session, order_id=facts.order_id)
    repeated = repeated_refund(known, facts=facts)
    if repeated is not None:
        return repeated
    order, refund = known.order, new_refund(facts, at=transaction.now)
    if order is None:
        if not await save_orders(session, OrderChanges(refunds=[refund])):
            raise AlreadyRecordedDifferently(id=facts.refund_id)
        return RecordedRefund(refund=refund, order=None, repeated=False)
    member, books = await load_books(transaction, record=known, order=order)
    step = decide_refund(books, refund=refund, stamp=stamp_of(transaction))
    assert step.refund is not None
    await save_books(transaction, member=member, books=step.after, steps=[step])
    return RecordedRefund(refund=step.refund, order=step.after.order, repeated=False)


def repeated_refund(known: OrderRecord, *, facts: RefundFacts) -> RecordedRefund | None:
    """The refund on record under its order, if there is one. Raises AlreadyRecordedDifferently."""
    before = known.refund(facts.refund_id)
    if before is None:
        return None
    if before.facts_hash != facts.hash():
        raise AlreadyRecordedDifferently(id=facts.refund_id)
    return RecordedRefund(refund=before, order=known.order, repeated=True)


def new_refund(facts: RefundFacts, *, at: datetime) -> Refund:
    """A refund as it is reported, before it counts."""
    return Refund(facts=facts, facts_hash=facts.hash(), member_id=None, recorded_at=at)
