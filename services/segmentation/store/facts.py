"""Facts: written once by their ids, never changed."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.segmentation.domain.facts import PaidOrder, Refund
from shared.sql import execute

#: Whoever changes facts or standings holds this lock, so that no run overlooks a fact and no two
#: transactions take the same members in different orders.
_WRITING: Final = 7_306_001

# The writers are few: the subscriber, which is one at a time by its cursor, and the run at work.
_LOCK = text("select pg_advisory_xact_lock(:key)")

# Members sorted, one row each; a fact before the day we knew of moves that day back.
_KNOW_MEMBERS: Final = """
    insert into members as known (member_id, since_day, recorded_at)
    select member_id, min(day), cast(:now as timestamptz)
    from {source} group by member_id order by member_id
    on conflict (member_id) do update set since_day = excluded.since_day
    where known.since_day > excluded.since_day
    returning member_id, since_day
"""

_BEGIN_STANDINGS: Final = """
    insert into member_rfm
      (member_id, as_of, frequency, monetary_fen, state, segment, segment_11, version, updated_at)
    select distinct member_id, cast(:today as date), 0, 0, 'prospect', 'prospect', 'prospect', 0,
           cast(:now as timestamptz)
    from {source}
    on conflict do nothing
"""

# Stored sizes of a day no longer hold when a fact of that day or before it comes in.
_OUTDATE: Final = """
    update segment_runs set outdated = true
    where not outdated and as_of >= (select min({day}) from {source})
"""

_RECORD_ORDERS = text(
    f"""
    with given as (
      select * from unnest(
        cast(:order_ids as text[]), cast(:member_ids as text[]), cast(:paid_ats as timestamptz[]),
        cast(:days as date[]), cast(:paid_fen as bigint[]), cast(:refunded_fen as bigint[])
      ) as given(order_id, member_id, paid_at, day, paid_fen, refunded_fen)
    ), new as (
      insert into order_facts
        (order_id, member_id, paid_at, paid_day, paid_fen, refunded_fen, recorded_at)
      select order_id, member_id, paid_at, day, paid_fen, refunded_fen, cast(:now as timestamptz)
      from given
      on conflict (order_id) do nothing
      returning member_id, paid_day as day
    ), known as ({_KNOW_MEMBERS.format(source="new")}
    ), begun as ({_BEGIN_STANDINGS.format(source="new")}
    ), late as ({_OUTDATE.format(source="new", day="day")})
    select distinct member_id from new order by member_id
    """  # noqa: S608 - made of constants
)

_RECORD_REFUNDS = text(
    f"""
    with given as (
      select * from unnest(
        cast(:refund_ids as text[]), cast(:order_ids as text[]), cast(:member_ids as text[]),
        cast(:amounts as bigint[]), cast(:refunded_ats as timestamptz[]), cast(:days as date[])
      ) as given(refund_id, order_id, member_id, amount_fen, refunded_at, day)
    ), new as (
      insert into refund_facts
        (refund_id, order_id, member_id, amount_fen, refunded_at, refunded_day, recorded_at)
      select refund_id, order_id, member_id, amount_fen, refunded_at, day,
             cast(:now as timestamptz)
      from given
      on conflict (refund_id) do nothing
      returning member_id, refunded_day as day
    ), late as ({_OUTDATE.format(source="new", day="day")})
    select distinct member_id from new order by member_id
    """  # noqa: S608 - made of constants
)

_RECORD_MEMBERS = text(
    f"""
    with given as (
      select member_id, cast(:day as date) as day from unnest(cast(:member_ids as text[])) member_id
    ), known as ({_KNOW_MEMBERS.format(source="given")}
    ), begun as ({_BEGIN_STANDINGS.format(source="known")})
    {_OUTDATE.format(source="known", day="since_day")}
    """  # noqa: S608 - made of constants
)


_ERASE = text("update members set erased_at = :erased_at where member_id = :member_id")


async def lock_writing(session: AsyncSession) -> None:
    """Be the only one to change facts or standings until the end of the transaction.

    Taken in a statement of its own: what is read after it sees what the one before has committed.
    """
    await execute(session, _LOCK, {"key": _WRITING})


async def record_orders(
    session: AsyncSession, *, orders: Sequence[PaidOrder], now: datetime, today: date
) -> list[str]:
    """Keep the orders that are new, with their members. Returns the members, sorted."""
    new = await execute(
        session,
        _RECORD_ORDERS,
        {
            "order_ids": [order.order_id for order in orders],
            "member_ids": [order.member_id for order in orders],
            "paid_ats": [order.paid_at for order in orders],
            "days": [order.paid_day for order in orders],
            "paid_fen": [order.paid_fen for order in orders],
            "refunded_fen": [order.refunded_fen for order in orders],
            "now": now,
            "today": today,
        },
    )
    return list(new.scalars())


async def record_refunds(
    session: AsyncSession, *, refunds: Sequence[Refund], now: datetime
) -> list[str]:
    """Keep the refunds that are new. Returns their members, sorted, known or not."""
    new = await execute(
        session,
        _RECORD_REFUNDS,
        {
            "refund_ids": [refund.refund_id for refund in refunds],
            "order_ids": [refund.order_id for refund in refunds],
            "member_ids": [refund.member_id for refund in refunds],
            "amounts": [refund.amount_fen for refund in refunds],
            "refunded_ats": [refund.refunded_at for refund in refunds],
            "days": [refund.refunded_day for refund in refunds],
            "now": now,
        },
    )
    return list(new.scalars())


async def record_members(
    session: AsyncSession, *, member_ids: Sequence[str], since: date, now: datetime, today: date
) -> None:
    """Know these members, as prospects until an order says otherwise."""
    await execute(
        session,
        _RECORD_MEMBERS,
        {"member_ids": list(member_ids), "day": since, "now": now, "today": today},
    )


async def erase_member(session: AsyncSession, *, member_id: str, erased_at: datetime) -> None:
    """Show where this member stands to nobody any more."""
    await execute(session, _ERASE, {"member_id": member_id, "erased_at": erased_at})
