"""Writing completions that were decided in batches."""

from collections.abc import Sequence
from typing import Final

from services.loyalty.domain.orders import Order
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import BatchStatement
from services.loyalty.store.order_changes import STANDINGS
from services.loyalty.store.orders import HOLD_ORDERS
from shared.batches import Saving
from shared.lanes import Connection

# The orders' ids are held, as refunds in batches hold them.
_SAVE: Final = BatchStatement(changing=[STANDINGS], holding=HOLD_ORDERS)


async def save_completions(
    connection: Connection,
    *,
    members: Sequence[LockedMember],
    orders: Sequence[Order],
    saving: Saving,
) -> None:
    """Write a batch of completions with all that belongs to them. Raises Stale."""
    ids = [order.order_id for order in orders]
    await _SAVE.run(connection, members, [orders], saving=saving, ids=ids)
