"""The orders of an imported history: recorded many at once, compared with what is on record."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.imports import KnownOrder, OwnedLine
from shared.sql import execute

# Each id's lock is taken as every report of an order or refund takes it: see store/orders.py.
_HOLD: Final = text(
    """
    select pg_advisory_xact_lock(hashtextextended(order_id, 42))
    from unnest(cast(:order_ids as text[])) as given(order_id)
    """
)
_ADD: Final = text(
    """
    insert into orders (order_id, member_id, state, paid_fen, discount_fen, refunded_fen, items,
      facts_hash, programme_version, multiplier_percent, earned_points, clawed_back_points, growth,
      import_id, paid_at, completed_at, recorded_at)
    select order_id, member_id,
      case when paid_fen > 0 and refunded_fen = paid_fen then 'refunded' else 'completed' end,
      paid_fen, 0, refunded_fen, '[]', facts_hash, (
        select version from programme_versions where published_at <= :now
        order by version desc limit 1
      ), 0, 0, 0, 0,
      :import_id, paid_at, paid_at, :now
    from unnest(
      cast(:order_ids as text[]), cast(:member_ids as text[]), cast(:paid as bigint[]),
      cast(:refunded as bigint[]), cast(:hashes as bytea[]), cast(:moments as timestamptz[])
    ) as given(order_id, member_id, paid_fen, refunded_fen, facts_hash, paid_at)
    on conflict (order_id) do nothing
    returning order_id
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
    session: AsyncSession, owned: Sequence[OwnedLine], *, import_id: str, now: datetime
) -> set[str]:
    """Record orders of a history, in one statement; the ids of those that were not on record."""
    added = await execute(
        session,
        _ADD,
        {
            "order_ids": [one.line.order_id for one in owned],
            "member_ids": [one.member_id for one in owned],
            "paid": [one.line.paid_fen for one in owned],
            "refunded": [one.line.refunded_fen for one in owned],
            "hashes": [one.line.facts_hash() for one in owned],
            "moments": [one.line.paid_at for one in owned],
            "import_id": import_id,
            "now": now,
        },
    )
    return set(added.scalars())


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
