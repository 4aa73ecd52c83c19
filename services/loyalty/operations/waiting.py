"""What was reported of an order before it, and just missed it.

Orders are recorded in batches that look for such facts without holding the order's id, so one that
is being recorded at the same moment may be overlooked by both. It counts here, moments later.
"""

from services.loyalty.operations.imports_refunds import apply_waiting_refunds
from services.loyalty.store.orders import hold_order
from services.loyalty.store.waiting import orders_that_were_missed
from shared.db import Transaction


async def apply_waiting_facts(transaction: Transaction) -> int:
    """Let refunds, cancellations and a completion count whose order is known; one order a step."""
    found = await orders_that_were_missed(transaction.session, limit=1)
    for order_id in found:
        await hold_order(transaction.session, order_id=order_id)
    if found:
        await apply_waiting_refunds(transaction, order_ids=found)
    return len(found)
