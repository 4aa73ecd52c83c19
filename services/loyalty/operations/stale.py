"""What ran out: holds and reservations past their time, which the job may not have come to yet."""

from services.loyalty.operations.reservations import give_up
from services.loyalty.operations.returns import end_hold
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.redemptions import stale_holds
from services.loyalty.store.reservations import anything_ran_out, reservations_ran_out
from shared.db import Transaction


async def release_ran_out(transaction: Transaction, member: LockedMember) -> LockedMember:
    """Release what is over of a member who is about to spend; the caller saves the member.

    So points can be used from the very moment a hold or reservation ran out, and vouchers too.
    The member is locked and settled. One query where nothing is over.
    """
    session, now = transaction.session, transaction.now
    if not await anything_ran_out(session, member_id=member.id, now=now):
        return member
    for reservation in await reservations_ran_out(session, member_id=member.id, now=now):
        member = await give_up(transaction, member=member, reservation=reservation)
    for redemption in await stale_holds(session, member_ids=[member.id], now=now, limit=None):
        member = await end_hold(transaction, member=member, redemption=redemption)
    # Now, so that a new hold for the same purpose and reference finds the place free.
    await session.flush()
    return member
