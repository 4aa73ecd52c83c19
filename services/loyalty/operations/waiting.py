"""What was reported of an order before it, and just missed it.

Orders are recorded in batches that look for such facts without holding the order's id, so one that
is being recorded at the same moment may be overlooked by both. It counts here, moments later.
"""

from services.loyalty.operations.imports_refunds import apply_waiting_refunds
from services.loyalty.store.orders import hold_order
from services.loyalty.store.waiting import orders_that_were_missed
from shared.db import Transaction
from shared.jobs import TRIED_PER_STEP, first_of


async def apply_waiting_facts(transaction: Transaction) -> int:
    """Let refunds, cancellations and a completion count whose order is known; one order a step."""

    async def apply(order_id: str) -> int:
        await hold_order(transaction.session, order_id=order_id)
        await apply_waiting_refunds(transaction, order_ids=[order_id])
        return 1

    found = await orders_that_were_missed(
        transaction.session, but=transaction.left_out, limit=TRIED_PER_STEP
    )
    return await first_of(transaction, found, apply)
