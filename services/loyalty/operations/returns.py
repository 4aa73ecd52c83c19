"""Redemptions that end otherwise than by being spent: their points go back to the lots."""

from datetime import datetime, timedelta

from services.loyalty.domain.holds import UsedPoints, give_back, last_used
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.redemptions import RedemptionOfCheckout, Standing
from services.loyalty.operations.activity import missed_by, settle_returned
from services.loyalty.operations.points import stamp_of
from services.loyalty.store.accounts import LockedMember, lock_member
from services.loyalty.store.redemptions import find_redemption, is_of_checkout, used_lots
from services.loyalty.store.tables import Redemption
from shared.contracts.loyalty import PointsRestored
from shared.db import Transaction
from shared.kernel.errors import NotFound


async def lock_redemption(
    transaction: Transaction, *, redemption_id: str
) -> tuple[LockedMember, Redemption]:
    """A redemption under the lock on its member's account, with which all of them change.

    Raises NotFound, and RedemptionOfCheckout for one that a reservation owns.
    """
    session = transaction.session
    found = await find_redemption(session, redemption_id=redemption_id)
    if found is None:
        raise NotFound
    if await is_of_checkout(session, redemption=found):
        raise RedemptionOfCheckout(id=redemption_id)
    owner = found.member_id
    while True:
        member = await lock_member(session, member_id=owner, now=transaction.now, lots="due")
        # Read again: while this waited for the lock it may have ended, or become another's by a
        # merge or its reversal.
        locked = await find_redemption(session, redemption_id=redemption_id)
        assert locked is not None
        if locked.member_id == member.id:
            return member, locked
        owner = locked.member_id


def standing_of(redemption: Redemption) -> Standing:
    """How a redemption stands, for the decisions on it."""
    return Standing(
        id=redemption.id,
        state=redemption.state,  # type: ignore[arg-type]
        points=redemption.points,
        returned_points=redemption.returned_points,
        hold_expires_at=redemption.hold_expires_at,
        closed_at=redemption.closed_at,
    )


async def return_points(
    transaction: Transaction,
    *,
    member: LockedMember,
    redemption: Redemption,
    points: int,
    debit: UsedPoints,
    grace: timedelta = timedelta(),
    occurred_at: datetime | None = None,
) -> LockedMember:
    """Give points of a redemption back to the lots that paid; the caller saves the member.

    They are counted on the redemption, so that none comes back twice. Lots that follow activity
    are good for as long as if the points had stayed.
    """
    used = await used_lots(transaction.session, member_id=member.id, redemption_id=redemption.id)
    used = last_used(used, points=points)
    lots = [lot for lot, _ in used]
    activities = await missed_by(
        transaction, member_id=member.id, lots=lots, since=redemption.created_at
    )
    account = give_back(
        member.account,
        used=used,
        debit=debit,
        cause=Cause(kind="redemption", id=redemption.id),
        programme_version=member.programme.version,
        stamp=stamp_of(transaction),
        grace=grace,
        activities=activities,
        occurred_at=occurred_at,
    )
    redemption.returned_points += points
    restored = PointsRestored(member_id=member.id, redemption_id=redemption.id, points=points)
    transaction.record(restored, subject=member.id)
    return await settle_returned(
        transaction, member.with_account(account), lots=lots, activities=activities
    )


async def end_hold(
    transaction: Transaction, *, member: LockedMember, redemption: Redemption
) -> LockedMember:
    """Release a hold as of the moment when it ran out; the caller saves the member."""
    member = await return_points(
        transaction,
        member=member,
        redemption=redemption,
        points=redemption.points,
        debit="held",
        occurred_at=redemption.hold_expires_at,
    )
    redemption.state = "released"
    redemption.closed_at = redemption.hold_expires_at
    return member
