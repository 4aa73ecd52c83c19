"""Facts: kept once by their ids, each in a statement that also locks the rows of its members.

Whoever keeps a fact holds its member until commit, and only then looks for a referral. So of an
enrolment and an order that come at the same moment, the later one sees the other.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.referral.domain.facts import HeardEnrolment, HeardOrder, HeardRefund
from services.referral.domain.orders import PaidOrder, Refund
from shared.sql import execute

# In the order of their ids, so that two transactions do not wait for each other in a ring. An
# update that changes nothing, since a row that another transaction has just made cannot be locked
# by a select of this statement.
_LOCK_MEMBERS: Final = """
    insert into member_facts as known (member_id, recorded_at)
    select distinct member_id, cast(:now as timestamptz) from given order by member_id
    on conflict (member_id) do update set member_id = excluded.member_id
    returning known.member_id
"""
#: Makes a statement wait for its locks before it does anything else.
_LOCKED: Final = "(select count(*) from locked) > 0"

_ENROL = text(
    """
    insert into member_facts as known (member_id, enrolled_at, code_given, device_id, recorded_at)
    values (:member_id, :enrolled_at, :code_given, :device_id, :now)
    on conflict (member_id) do update set
      enrolled_at = coalesce(known.enrolled_at, excluded.enrolled_at),
      code_given = coalesce(known.code_given, excluded.code_given),
      device_id = coalesce(known.device_id, excluded.device_id)
    where known.erased_at is null
    """
)

_ERASE = text(
    """
    with orders as (
      update order_facts set device_id = null, payer_hash = null
      where member_id = :member_id and (device_id is not null or payer_hash is not null)
    )
    update member_facts set code_given = null, device_id = null, erased_at = :erased_at
    where member_id = :member_id
    """
)

_LOCK = text(
    f"""
    with given as (select cast(:member_id as text) as member_id)
    {_LOCK_MEMBERS}
    """
)

_PAY = text(
    f"""
    with given as (
      select * from unnest(
        cast(:order_ids as text[]), cast(:member_ids as text[]), cast(:paid_fen as bigint[]),
        cast(:paid_ats as timestamptz[]), cast(:devices as text[]), cast(:payers as text[])
      ) as given(order_id, member_id, paid_fen, paid_at, device_id, payer_hash)
    ), locked as ({_LOCK_MEMBERS})
    insert into order_facts as known
      (order_id, member_id, paid_fen, paid_at, device_id, payer_hash, recorded_at)
    select distinct on (order_id)
      order_id, member_id, paid_fen, paid_at, device_id, payer_hash, cast(:now as timestamptz)
    from given where {_LOCKED} order by order_id
    on conflict (order_id) do update set
      paid_fen = excluded.paid_fen, paid_at = excluded.paid_at,
      device_id = excluded.device_id, payer_hash = excluded.payer_hash
    where known.paid_at is null
    """  # noqa: S608 - made of constants
)

_COMPLETE = text(
    f"""
    with given as (select cast(:member_id as text) as member_id), locked as ({_LOCK_MEMBERS})
    insert into order_facts as known (order_id, member_id, completed_at, recorded_at)
    select :order_id, member_id, :completed_at, :now from given where {_LOCKED}
    on conflict (order_id) do update set completed_at = excluded.completed_at
    where known.completed_at is null
    """  # noqa: S608 - made of constants
)

_REFUND = text(
    f"""
    with given as (
      select * from unnest(
        cast(:refund_ids as text[]), cast(:order_ids as text[]), cast(:member_ids as text[]),
        cast(:amounts as bigint[]), cast(:in_full as boolean[]),
        cast(:refunded_ats as timestamptz[])
      ) as given(refund_id, order_id, member_id, amount_fen, in_full, refunded_at)
    ), locked as ({_LOCK_MEMBERS})
    insert into refund_facts
      (refund_id, order_id, member_id, amount_fen, in_full, refunded_at, recorded_at)
    select refund_id, order_id, member_id, amount_fen, in_full, refunded_at,
      cast(:now as timestamptz)
    from given where {_LOCKED} order by refund_id
    on conflict do nothing
    """  # noqa: S608 - made of constants
)

_ORDERS = text(
    """
    select order_id, paid_fen, paid_at, completed_at
    from order_facts where member_id = :member_id and paid_at is not null
    """
)
_REFUNDS = text(
    """
    select refund_id, order_id, amount_fen, in_full
    from refund_facts where member_id = :member_id
    """
)


async def lock_member(session: AsyncSession, *, member_id: str, now: datetime) -> None:
    """Be the only one to decide about a member until the end of the transaction."""
    await execute(session, _LOCK, {"member_id": member_id, "now": now})


async def keep_enrolment(
    session: AsyncSession, *, enrolment: HeardEnrolment, now: datetime
) -> None:
    """Keep that a member enrolled; what was heard first stays."""
    await execute(
        session,
        _ENROL,
        {
            "member_id": enrolment.member_id,
            "enrolled_at": enrolment.enrolled_at,
            "code_given": enrolment.code_given,
            "device_id": enrolment.device_id,
            "now": now,
        },
    )


async def erase_member(
    session: AsyncSession, *, member_id: str, erased_at: datetime, now: datetime
) -> None:
    """Forget what could lead to a person; ids, amounts and moments stay."""
    given = {"member_id": member_id, "now": now}
    await execute(session, _LOCK, given)
    await execute(session, _ERASE, {**given, "erased_at": erased_at})


async def keep_orders(
    session: AsyncSession, *, orders: Sequence[HeardOrder], now: datetime
) -> None:
    """Keep orders that were paid."""
    await execute(
        session,
        _PAY,
        {
            "order_ids": [heard.order.order_id for heard in orders],
            "member_ids": [heard.member_id for heard in orders],
            "paid_fen": [heard.order.paid_fen for heard in orders],
            "paid_ats": [heard.order.paid_at for heard in orders],
            "devices": [heard.device_id for heard in orders],
            "payers": [heard.payer_hash for heard in orders],
            "now": now,
        },
    )


async def keep_completion(
    session: AsyncSession, *, order_id: str, member_id: str, completed_at: datetime, now: datetime
) -> None:
    """Keep that an order was received, be it known to be paid or not."""
    await execute(
        session,
        _COMPLETE,
        {
            "order_id": order_id,
            "member_id": member_id,
            "completed_at": completed_at,
            "now": now,
        },
    )


async def keep_refunds(
    session: AsyncSession, *, refunds: Sequence[HeardRefund], now: datetime
) -> None:
    """Keep refunds, of orders that are known or not."""
    await execute(
        session,
        _REFUND,
        {
            "refund_ids": [heard.refund.refund_id for heard in refunds],
            "order_ids": [heard.refund.order_id for heard in refunds],
            "member_ids": [heard.member_id for heard in refunds],
            "amounts": [heard.refund.amount_fen for heard in refunds],
            "in_full": [heard.refund.in_full for heard in refunds],
            "refunded_ats": [heard.refunded_at for heard in refunds],
            "now": now,
        },
    )


async def orders_of(session: AsyncSession, *, member_id: str) -> Sequence[PaidOrder]:
    """All orders of a member that are known to be paid."""
    found = await execute(session, _ORDERS, {"member_id": member_id})
    return [PaidOrder(**row) for row in found.mappings()]


async def refunds_of(session: AsyncSession, *, member_id: str) -> Sequence[Refund]:
    """All refunds of a member."""
    found = await execute(session, _REFUNDS, {"member_id": member_id})
    return [Refund(**row) for row in found.mappings()]
