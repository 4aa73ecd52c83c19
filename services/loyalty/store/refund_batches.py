"""Reading and writing refunds that are decided in batches."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.loyalty.domain.lots import Cause
from services.loyalty.domain.orders import Order
from services.loyalty.domain.points import lot_of
from services.loyalty.domain.refunds import Refund, RefundFacts
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import BatchStatement
from services.loyalty.store.order_changes import GROWTH_ROWS, REFUND_COLUMNS, STANDINGS
from services.loyalty.store.order_readings import OrderReadings, read_orders
from services.loyalty.store.orders import HOLD_ORDERS
from services.loyalty.store.readings import MemberReader
from services.loyalty.store.tables import TierChange
from services.loyalty.store.tiers import TIER_ROWS
from services.loyalty.store.writing import Rows
from shared.batches import Saving
from shared.lanes import Connection

#: How many spendable lots are read at first, beside those of the orders themselves: few, since a
#: refund takes from others only what its own lot has no more, and then most are spent.
LOTS_AT_FIRST: Final = 8

_REFUNDS: Final[Rows[Refund]] = Rows(table="refunds", columns=REFUND_COLUMNS)
# Others read an order once they hold its id, and then wait for the account: whoever changes it
# without that would change it behind their backs.
_SAVE: Final = BatchStatement(
    _REFUNDS, GROWTH_ROWS, TIER_ROWS, changing=[STANDINGS], holding=HOLD_ORDERS
)


async def read_refunds(
    connection: Connection,
    reader: MemberReader,
    commands: Sequence[RefundFacts],
    *,
    now: datetime,
    locked: bool,
) -> OrderReadings:
    """Read all that decides about some refunds."""
    return await read_orders(
        connection,
        reader,
        [one.order_id for one in commands],
        now=now,
        locked=locked,
        lots=LOTS_AT_FIRST,
        enough=_are_enough,
        refund_ids=[one.refund_id for one in commands],
    )


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


def _are_enough(readings: OrderReadings) -> bool:
    """Whether refunds cannot take more from a member's other lots than those that were read hold.

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
    return all(
        _others(member, owns[member.id]) >= min(wanted[member.id], _not_in(member, owns[member.id]))
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
