"""What was reported of orders before an import told of them."""

from collections.abc import Sequence
from dataclasses import replace

from services.loyalty.domain.order_decisions import settle_waiting
from services.loyalty.operations.order_books import load_books, note_completed, save_books
from services.loyalty.operations.points import stamp_of
from services.loyalty.store.orders import find_records
from shared.db import Transaction


async def apply_waiting_refunds(transaction: Transaction, *, order_ids: Sequence[str]) -> None:
    """Let what waited for these orders count; they were added just now, and their members' accounts
    are held, all at once and in the order of everybody.

    Refunds come on top of what the history says was refunded, up to what was paid, and take back
    what the order earned, if it did. A completion counts unless the history tells of one.
    """
    records = await find_records(transaction.session, order_ids=order_ids)
    for record in records.values():
        waiting, order = record.waiting, record.order
        assert order is not None, "it was added in this transaction"
        completes = waiting.completed_at is not None and order.completed_at is None
        if not waiting.takes_back and not completes:
            continue
        if not completes:
            waiting = replace(waiting, completed_at=None)
        member, books = await load_books(transaction, record=record, order=order)
        books, steps = settle_waiting(books, waiting=waiting, stamp=stamp_of(transaction))
        if completes:
            note_completed(transaction, order=books.order)
        await save_books(transaction, member=member, books=books, steps=steps)
