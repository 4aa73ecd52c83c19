"""Activity of a member: an order paid or points redeemed renews the lots that follow activity."""

from collections.abc import Sequence
from datetime import datetime

from services.loyalty.domain.activity import (
    day_came_first,
    has_renewable,
    overdue,
    renew,
    renewed_since,
)
from services.loyalty.domain.lots import Lot
from services.loyalty.operations.expiries import end_lots
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.activity import activities_since
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


async def missed_by(
    transaction: Transaction, *, member_id: str, lots: Sequence[Lot], since: datetime
) -> Sequence[datetime]:
    """The activities that lots have missed while their points were away, in their order.

    Asks nothing unless one of the lots follows activity.
    """
    if not any(lot.renewal_months for lot in lots):
        return ()
    return await activities_since(transaction.session, member_id=member_id, since=since)


async def settle_returned(
    transaction: Transaction,
    member: LockedMember,
    *,
    lots: Sequence[Lot],
    activities: Sequence[datetime],
) -> LockedMember:
    """Let activities count that came after the day of lots which have just got points back.

    What became of these on their day was due before, so it comes first.
    """
    back = [member.account.lots[lot.id] for lot in lots]
    if not any(day_came_first(lot, activities=activities) for lot in back):
        return member
    account = (await end_lots(transaction, [member]))[0].member.account
    renewed = [renewed_since(account.lots[lot.id], activities=activities) for lot in back]
    return member.with_account(account.with_lots(renewed))
