"""Facts that wait for an order that is known by now."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.sql import execute

_MISSED: Final = text(
    """
    select order_id from (
      select order_id from refunds where applied_at is null
      union select order_id from order_cancellations where applied_at is null
      union select early.order_id from early_completions as early
        join orders using (order_id) where orders.completed_at is null
    ) as waiting join orders using (order_id)
    where order_id <> all(cast(:but as text[]))
    order by order_id limit :limit
    """
)


async def orders_that_were_missed(
    session: AsyncSession, *, but: Collection[str], limit: int
) -> Sequence[str]:
    """Some orders on record of which something still waits, in the order of their locks, without
    these.
    """
    rows = await execute(session, _MISSED, {"but": list(but), "limit": limit})
    return [row.order_id for row in rows]
