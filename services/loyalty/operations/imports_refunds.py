"""Refunds that were reported before an import told of their orders."""

from collections.abc import Sequence

from services.loyalty.domain.orders import earning
from services.loyalty.operations.points import lock_settled
from services.loyalty.operations.refunds import apply_refund
from services.loyalty.store.books import save_members
from services.loyalty.store.imports_orders import orders_with_waiting_refunds
from services.loyalty.store.orders import find_order, save_growth, save_refunded
from services.loyalty.store.refunds import save_refund, waiting_refunds
from shared.db import Transaction


async def apply_waiting_refunds(transaction: Transaction, *, order_ids: Sequence[str]) -> None:
    """Let the refunds that waited for these orders count; the orders were added just now.

    They come on top of what the history says was refunded, up to what was paid, and take back what
    the order earned, if it did.
    """
    session = transaction.session
    for order_id in await orders_with_waiting_refunds(session, order_ids=order_ids):
        order = await find_order(session, order_id=order_id)
        assert order is not None, "it was added in this transaction"
        member = await lock_settled(transaction, member_id=order.member_id, lots="open")
        for refund in await waiting_refunds(session, order_id=order_id):
            applied = apply_refund(transaction, member=member, order=order, refund=refund)
            member, order = applied.member, applied.order
            await save_refund(session, refund=applied.refund, applied_at=transaction.now)
        await save_members(session, [member])
        await save_refunded(session, order=order)
        if order.growth:
            kept = earning(order, kept_fen=order.refundable_fen)
            await save_growth(session, order=order, growth=kept.growth)
