"""Reading orders for batches that change them: with all that is on record, and their members.

One statement reads everything, so all of it is of one moment, and whatever has changed since has
raised the version of an account.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.orders import FIND_ORDERS, OrderRecord, hold_orders, records_of
from services.loyalty.store.readings import MemberReader, members_sql, with_growth
from shared.lanes import Connection

_ALL: Final = 2**31 - 1

# The orders' own lots, whether they are due or not.
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


@dataclass(frozen=True, kw_only=True)
class OrderReadings:
    """What is on record as a batch finds it."""

    #: By order id, whether the order is known or not.
    records: dict[str, OrderRecord]
    members: dict[str, LockedMember]
    #: Those of the refund ids asked for that are on record for orders which were not.
    ids_elsewhere: frozenset[str]
    #: The orders on which vouchers were used.
    with_vouchers: frozenset[str]


async def read_orders(
    connection: Connection,
    reader: MemberReader,
    order_ids: Collection[str],
    *,
    now: datetime,
    locked: bool,
    lots: int = 0,
    enough: Callable[[OrderReadings], bool] = lambda _: True,
    refund_ids: Collection[str] = (),
) -> OrderReadings:
    """Read all that decides about some orders, in one statement.

    Of each member the first `lots` spendable lots, beside those of the orders: all of them, in one
    more statement, where these are not `enough`. Another one when other rules came into force.
    With `locked` the orders' ids are held first, then their members' accounts.
    """
    wanted = sorted(set(order_ids))
    if locked:
        await hold_orders(connection, order_ids=wanted)
        await connection.fetch(_LOCK, wanted)
    # A second reading begins anew: the orders must be of the same moment as their members.
    since = reader.window_start(now=now)
    for limit in (lots, _ALL):
        rows = await connection.fetch(_READ, wanted, now, limit, list(refund_ids), since)
        orders = [row for row in rows if row["about"] is not None]
        owners = (row for row in rows if row["about"] is None)
        readings = OrderReadings(
            records=records_of(orders),
            members=await reader.members_of(connection, owners, since=since),
            ids_elsewhere=frozenset(orders[0]["ids_elsewhere"]),
            with_vouchers=frozenset(row["about"] for row in orders if row["used_a_voucher"]),
        )
        if limit == _ALL or enough(readings):
            break
    await with_growth(connection, readings.members, now=now)
    return readings
