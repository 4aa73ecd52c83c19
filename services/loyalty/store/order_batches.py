"""Writing orders recorded in batches."""

from collections.abc import Sequence
from typing import Final

from services.loyalty.domain.orders import Order, OrderFacts
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import BatchStatement
from services.loyalty.store.order_changes import ADDED_ORDERS, GROWTH_COLUMNS
from services.loyalty.store.tables import TierChange
from services.loyalty.store.tiers import TIER_ROWS
from services.loyalty.store.writing import Rows
from shared.batches import Saving
from shared.lanes import Connection

_GROWTH: Final[Rows[Order]] = Rows(table="growth_entries", columns=GROWTH_COLUMNS)
#: What may have been reported before its order; who decided without looking must not miss it.
_WAITING: Final = """
    select 1 from unnest({ids}) as given(order_id)
    where exists (select 1 from refunds
                  where refunds.order_id = given.order_id and applied_at is null)
      or exists (select 1 from order_cancellations
                 where order_cancellations.order_id = given.order_id and applied_at is null)
      or exists (select 1 from early_completions
                 where early_completions.order_id = given.order_id)
"""
_SAVE: Final = BatchStatement(ADDED_ORDERS, _GROWTH, TIER_ROWS, unless=_WAITING)


async def save_recorded(
    connection: Connection,
    *,
    members: Sequence[LockedMember],
    orders: Sequence[tuple[Order, OrderFacts]],
    tier_changes: Sequence[TierChange],
    saving: Saving,
    quick: bool,
) -> None:
    """Write a batch of orders with all that belongs to them.

    Raises Stale; when decided quickly, also if something was reported before one of the orders.
    """
    await _SAVE.run(
        connection,
        members,
        [orders, [order for order, _ in orders if order.growth], tier_changes],
        saving=saving,
        ids=[order.order_id for order, _ in orders] if quick else [],
    )
