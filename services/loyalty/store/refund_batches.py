"""Reading and writing refunds that are decided in batches.

One statement reads the orders, what is on record about them and their members: so all of it is of
one moment, and whatever has changed since has raised the version of an account.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.loyalty.domain.lots import Cause
from services.loyalty.domain.orders import Order
from services.loyalty.domain.points import lot_of
from services.loyalty.domain.refunds import Refund, RefundFacts
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import BatchStatement
from services.loyalty.store.order_changes import GROWTH_ROWS, REFUND_COLUMNS, STANDINGS
from services.loyalty.store.orders import (
    FIND_ORDERS,
    HOLD_ORDERS,
    OrderRecord,
    hold_orders,
    records_of,
)
from services.loyalty.store.readings import MemberReader, members_sql, with_growth
from services.loyalty.store.tables import TierChange
from services.loyalty.store.tiers import TIER_ROWS
from services.loyalty.store.writing import Rows
from shared.batches import Saving
from shared.lanes import Connection

#: How many spendable lots are read at first, beside those of the orders themselves: few, since a
#: refund takes from others only what its own lot has no more, and then most are spent.
LOTS_AT_FIRST: Final = 8
_ALL: Final = 2**31 - 1

# The orders' own lots, which refunds take from first, whether they are due or not.
_OWN_LOTS: Final = """
    union all
    (select lots.id, lots.cause_kind, lots.cause_id, lots.state, lots.points, lots.remaining,
       lots.available_at, lots.expires_at, lots.programme_version, lots.created_at
     from mine join point_lots as lots
       on lots.cause_kind = 'order' and lots.cause_id = mine.order_id
     where mine.member_id = accounts.member_id and lots.member_id = accounts.member_id
       and lots.state in ('pending', 'available') and lots.remaining > 0)
"""
# Rows of orders and rows of members, one below the other: `part` keeps them apart, so each has
# nulls where the other has its columns, and the columns that both have are one.
# Vouchers are counted because EXISTS would be answered by reading all that were ever used.
_READ: Final = f"""
    with about as (
      select found.*, 'order' as part,
        array(select refund_id from refunds
              where refund_id = any($4::text[]) and order_id <> all($1)) as ids_elsewhere,
        (select count(*) > 0 from vouchers
         where vouchers.member_id = found.member_id and vouchers.order_id = found.order_id
           and vouchers.state = 'redeemed'
        ) as used_a_voucher
      from ({FIND_ORDERS}) as found
    ),
    mine as (select distinct order_id, member_id from about where order_id is not null),
    owners as (
      select found.*, 'member' as part
      from ({
    members_sql(whose="in (select mine.member_id from mine)", since="$5", more_lots=_OWN_LOTS)
}) as found
    )
    select * from about full join owners using (part, member_id, state, growth, programme_version)
"""  # noqa: S608 - constants
_LOCK: Final = """
    select 1 from accounts
    where member_id in (select member_id from orders where order_id = any($1::text[]))
    order by member_id for update
"""
_REFUNDS: Final[Rows[Refund]] = Rows(table="refunds", columns=REFUND_COLUMNS)
# Others read an order once they hold its id, and then wait for the account: whoever changes it
# without that would change it behind their backs.
_SAVE: Final = BatchStatement(
    _REFUNDS, GROWTH_ROWS, TIER_ROWS, changing=[STANDINGS], holding=HOLD_ORDERS
)


@dataclass(frozen=True, kw_only=True)
class RefundReadings:
    """What is on record as a batch of refunds finds it."""

    #: By order id, whether the order is known or not.
    records: dict[str, OrderRecord]
    members: dict[str, LockedMember]
    #: Those of the batch's refund ids that are on record for orders of which it says nothing.
    ids_elsewhere: frozenset[str]
    #: The orders on which vouchers were used.
    with_vouchers: frozenset[str]


async def read_refunds(
    connection: Connection,
    reader: MemberReader,
    commands: Sequence[RefundFacts],
    *,
    now: datetime,
    locked: bool,
) -> RefundReadings:
    """Read all that decides about some refunds, in one statement.

    One more where a member's lots at first do not suffice, or when other rules came into force.
    With `locked` the orders' ids are held first, then their members' accounts.
    """
    order_ids = sorted({one.order_id for one in commands})
    if locked:
        await hold_orders(connection, order_ids=order_ids)
        await connection.fetch(_LOCK, order_ids)
    refund_ids = [one.refund_id for one in commands]
    # A second reading begins anew: the orders must be of the same moment as their members.
    since = reader.window_start(now=now)
    for limit in (LOTS_AT_FIRST, _ALL):
        rows = await connection.fetch(_READ, order_ids, now, limit, refund_ids, since)
        orders = [row for row in rows if row["about"] is not None]
        owners = (row for row in rows if row["about"] is None)
        members = await reader.members_of(connection, owners, since=since)
        readings = RefundReadings(
            records=records_of(orders),
            members=members,
            ids_elsewhere=frozenset(orders[0]["ids_elsewhere"]),
            with_vouchers=frozenset(row["about"] for row in orders if row["used_a_voucher"]),
        )
        if limit == _ALL or not _is_short(readings):
            break
    await with_growth(connection, members, now=now)
    return readings


async def save_refunds(
    connection: Connection,
    *,
    members: Sequence[LockedMember],
    orders: Sequence[Order],
    refunds: Sequence[Refund],
    tier_changes: Sequence[TierChange],
    saving: Saving,
) -> None:
    """Write a batch of refunds with all that belongs to them. Raises Stale."""
    await _SAVE.run(
        connection,
        members,
        [refunds, [order for order in orders if order.growth], tier_changes, orders],
        saving=saving,
        ids=[order.order_id for order in orders],
    )


def _is_short(readings: RefundReadings) -> bool:
    """Whether refunds may take more from a member's other lots than those that were read hold.

    The worst that they may do together: each order's own lot gives what it has, others the rest.
    """
    owns: dict[str, set[str]] = {one: set() for one in readings.members}
    wanted = dict.fromkeys(readings.members, 0)
    for record in readings.records.values():
        order = record.order
        member = readings.members.get(order.member_id) if order else None
        if order is None or member is None:
            continue
        own = lot_of(member.account, Cause(kind="order", id=order.order_id))
        left = order.earned_points - order.clawed_back_points
        wanted[member.id] += max(0, left - (own.remaining if own else 0))
        if own is not None:
            owns[member.id].add(own.id)
    return any(
        _others(member, owns[member.id]) < min(wanted[member.id], _not_in(member, owns[member.id]))
        for member in readings.members.values()
    )


def _others(member: LockedMember, own: set[str]) -> int:
    """What the spendable lots that were read hold, those of the orders apart."""
    lots = member.account.lots_in("available")
    return sum(lot.remaining for lot in lots if lot.id not in own)


def _not_in(member: LockedMember, own: set[str]) -> int:
    """What all of the member's spendable lots hold, those of the orders apart."""
    lots = member.account.lots_in("available")
    return member.account.balances.available - sum(lot.remaining for lot in lots if lot.id in own)
