"""Whose an order is: a merge may have moved it while its report waited for the account."""

from dataclasses import replace

from services.loyalty.domain.orders import Order
from services.loyalty.operations.points import lock_settled
from services.loyalty.store.accounts import LockedMember
from shared.db import Transaction


async def lock_owner(transaction: Transaction, *, order: Order) -> tuple[Order, LockedMember]:
    """Lock the account of an order's member, who may be erased but is never merged.

    The order was read before the account was held, so a merge may have come in between: then it is
    the survivor's. A reversal cannot, as it holds the orders first.
    """
    member = await lock_settled(transaction, member_id=order.member_id, lots="open")
    while member.merged_into is not None:
        member = await lock_settled(transaction, member_id=member.merged_into, lots="open")
    return replace(order, member_id=member.id), member
