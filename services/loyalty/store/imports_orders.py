"""The orders of an imported history: recorded many at once, compared with what is on record."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.imports_orders import KnownOrder, NewOrder
from shared.sql import execute

# Each id's lock is taken as every report of an order or refund takes it: see store/orders.py.
_HOLD: Final = text(
    """
    select pg_advisory_xact_lock(hashtextextended(order_id, 42))
    from unnest(cast(:order_ids as text[])) as given(order_id)
    """
)
# Whoever reports an order holds its id first, so none of these is on record. An order that earns is
# completed when the history says so; one that does not is over.
_ADD: Final = text(
    """
    insert into orders (order_id, member_id, state, paid_fen, discount_fen, refunded_fen, items,
      facts_hash, programme_version, multiplier_percent, earned_points, clawed_back_points, growth,
      import_id, paid_at, completed_at, recorded_at)
    select order_id, member_id,
      case when paid_fen > 0 and refunded_fen = paid_fen then 'refunded'
        when :earn and completed_at is null then 'paid' else 'completed' end,
      paid_fen, 0, refunded_fen, '[]', facts_hash, (
        select version from programme_versions where published_at <= :now
        order by version desc limit 1
      ), multiplier_percent, earned_points, 0, growth,
      :import_id, paid_at, coalesce(completed_at, case when not :earn then paid_at end), :now
    from unnest(
      cast(:order_ids as text[]), cast(:member_ids as text[]), cast(:paid as bigint[]),
      cast(:refunded as bigint[]), cast(:hashes as bytea[]), cast(:moments as timestamptz[]),
      cast(:completions as timestamptz[]), cast(:multipliers as int[]), cast(:earned as bigint[]),
      cast(:growth as bigint[])
    ) as given(order_id, member_id, paid_fen, refunded_fen, facts_hash, paid_at, completed_at,
      multiplier_percent, earned_points, growth)
    """
)
_GROW: Final = text(
    """
    insert into growth_entries
      (member_id, cause_kind, cause_id, growth, programme_version, occurred_at)
    select member_id, 'order', order_id, growth, programme_version, paid_at
    from orders where order_id = any(:order_ids) and growth > 0
    """
)
_KNOWN: Final = text(
    """
    select order_id, member_id, paid_fen, paid_at, facts_hash, import_id from orders
    where order_id = any(:order_ids)
    """
)
_AWAITED: Final = text(
    """
    select order_id from refunds where order_id = any(:order_ids) and applied_at is null
    union
    select order_id from order_cancellations where order_id = any(:order_ids) and applied_at is null
    union
    select order_id from early_completions where order_id = any(:order_ids)
    order by order_id
    """
)


async def hold_orders(session: AsyncSession, *, order_ids: Sequence[str]) -> None:
    """Keep others off these order ids until commit; sorted, so that nobody waits in a ring."""
    await execute(session, _HOLD, {"order_ids": sorted(order_ids)})


async def add_orders(
    session: AsyncSession, new: Sequence[NewOrder], *, import_id: str, earn: bool, now: datetime
) -> None:
    """Record orders of a history that are not on record yet, and the growth they give."""
    lines = [one.owned.line for one in new]
    await execute(
        session,
        _ADD,
        {
            "order_ids": [line.order_id for line in lines],
            "member_ids": [one.owned.member_id for one in new],
            "paid": [line.paid_fen for line in lines],
            "refunded": [line.refunded_fen for line in lines],
            "hashes": [line.facts_hash() for line in lines],
            "moments": [line.paid_at for line in lines],
            "completions": [line.completed_at for line in lines],
            "multipliers": [one.multiplier_percent for one in new],
            "earned": [one.earned.points for one in new],
            "growth": [one.earned.growth for one in new],
            "import_id": import_id,
            "earn": earn,
            "now": now,
        },
    )
    if earn:
        await execute(session, _GROW, {"order_ids": [line.order_id for line in lines]})


async def known_orders(session: AsyncSession, *, order_ids: Sequence[str]) -> dict[str, KnownOrder]:
    """What is on record under these ids."""
    rows = await execute(session, _KNOWN, {"order_ids": list(order_ids)})
    return {
        row.order_id: KnownOrder(
            order_id=row.order_id,
            member_id=row.member_id,
            paid_fen=row.paid_fen,
            paid_at=row.paid_at,
            facts_hash=row.facts_hash,
            imported=row.import_id is not None,
        )
        for row in rows
    }


async def orders_with_waiting_refunds(
    session: AsyncSession, *, order_ids: Sequence[str]
) -> list[str]:
    """Those of these orders whose refunds, cancellation or completion came before them."""
    return list((await execute(session, _AWAITED, {"order_ids": list(order_ids)})).scalars())
