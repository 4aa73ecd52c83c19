"""Cancellations of orders: what has not gone back yet goes back."""

from dataclasses import dataclass, replace

from services.loyalty.domain.facts import AlreadyRecordedDifferently
from services.loyalty.domain.order_cancellations import Cancellation, CancellationFacts
from services.loyalty.domain.order_decisions import cancel
from services.loyalty.operations.order_books import load_books, save_books
from services.loyalty.operations.owners import lock_owner
from services.loyalty.operations.points import stamp_of
from services.loyalty.store.order_changes import OrderChanges, save_orders
from services.loyalty.store.orders import OrderRecord, find_record, hold_order
from shared.db import Transaction


@dataclass(frozen=True, kw_only=True)
class RecordedCancellation:
    """A cancellation as it stands on record, and whether this report of it was the first."""

    cancellation: Cancellation
    repeated: bool


async def cancel_order(
    transaction: Transaction, *, facts: CancellationFacts
) -> RecordedCancellation:
    """Cancel an order, as if all that is kept of it were refunded; it may come before the order.

    The same cancellation again answers with what is on record. Raises AlreadyRecordedDifferently.
    Six statements, up to two more for what was reserved, three when it waits; the door adds five
    round trips.
    """
    session = transaction.session
    await hold_order(session, order_id=facts.order_id)
    known = await find_record(session, order_id=facts.order_id)
    if known.cancellation is not None:
        if known.cancellation.facts_hash != facts.hash():
            raise AlreadyRecordedDifferently(id=facts.order_id)
        return await _again(transaction, known=known, cancellation=known.cancellation)
    cancellation = Cancellation(
        facts=facts, facts_hash=facts.hash(), member_id=None, recorded_at=transaction.now
    )
    if known.order is None:
        await save_orders(session, OrderChanges(cancellations=[cancellation]))
        return RecordedCancellation(cancellation=cancellation, repeated=False)
    member, books = await load_books(transaction, record=known, order=known.order)
    if books.member_is_erased:
        cancellation = _without_words(cancellation)
    step = cancel(books, cancellation=cancellation, stamp=stamp_of(transaction))
    assert step.cancellation is not None
    await save_books(transaction, member=member, books=step.after, steps=[step])
    return RecordedCancellation(cancellation=step.cancellation, repeated=False)


async def _again(
    transaction: Transaction, *, known: OrderRecord, cancellation: Cancellation
) -> RecordedCancellation:
    """What is on record, without words about somebody who is erased, or was while this waited."""
    if known.order is not None and cancellation.facts.reason is not None:
        _, member = await lock_owner(transaction, order=known.order)
        if member.state == "erased":
            cancellation = _without_words(cancellation)
    return RecordedCancellation(cancellation=cancellation, repeated=True)


def _without_words(cancellation: Cancellation) -> Cancellation:
    """The same cancellation, of somebody about whom nothing is written any more."""
    return replace(cancellation, facts=replace(cancellation.facts, reason=None))
