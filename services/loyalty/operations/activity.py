"""Activity of a member: an order paid or points redeemed renews the lots that follow activity."""

from datetime import datetime

from services.loyalty.domain.activity import has_renewable, overdue, renew
from services.loyalty.operations.expiries import end_lots
from services.loyalty.store.accounts import LockedMember
from shared.batches import NeedsCare
from shared.db import Transaction


def renewed(member: LockedMember, *, at: datetime, now: datetime) -> LockedMember:
    """The same for a batch. Raises NeedsCare where a lot past its day has to be settled first."""
    if not has_renewable(member.account):
        return member
    if overdue(member.account, at=now):
        raise NeedsCare
    return member.with_account(renew(member.account, at=min(at, now)))


async def note_activity(
    transaction: Transaction, member: LockedMember, *, at: datetime | None = None
) -> LockedMember:
    """Let an activity at `at` (now if left out; never later) count; the caller saves the member.

    The member is locked, with the lots that activity may renew loaded. Costs nothing unless there
    are such lots, and reads the database only when one is past its day and nobody has settled it:
    that was due before, so it comes first.
    """
    if not has_renewable(member.account):
        return member
    now = transaction.now
    if overdue(member.account, at=now):
        ended = await end_lots(transaction, [member])
        member = ended[0].member
    return member.with_account(renew(member.account, at=now if at is None else min(at, now)))
