"""Holds: points reserved for something that is not certain yet, then captured or released."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.loyalty.domain.holds import capture, hold
from services.loyalty.domain.ledger import Balances
from services.loyalty.domain.lots import Allocation, Cause
from services.loyalty.domain.points import taken_by
from services.loyalty.domain.redemptions import AlreadyHeld, is_to_release, points_to_capture
from services.loyalty.operations.activity import note_activity
from services.loyalty.operations.points import lock_settled, settle, stamp_of
from services.loyalty.operations.returns import (
    end_hold,
    lock_redemption,
    return_points,
    standing_of,
)
from services.loyalty.operations.stale import release_ran_out
from services.loyalty.store import redemptions as store
from services.loyalty.store.accounts import LockedMember, lock_members
from services.loyalty.store.books import save_members
from services.loyalty.store.tables import Redemption
from shared.contracts.loyalty import PointsRedeemed
from shared.db import Transaction
from shared.jobs import apart
from shared.kernel.ids import new_id

_HOLDS_PER_STEP: Final = 100


@dataclass(frozen=True, kw_only=True)
class Held:
    """A hold, the balances just after it was made, and the lots that gave the points."""

    redemption: Redemption
    balances: Balances
    lots: tuple[Allocation, ...]
    #: False when it was there before.
    new: bool = True


async def hold_points(
    transaction: Transaction,
    *,
    member_id: str,
    points: int,
    purpose: str,
    reference: str,
    minutes: int | None,
) -> Held:
    """Reserve points for some minutes, by default the programme's.

    Points are held once for a purpose and reference: asked again while they are, this answers
    with the hold there is. Raises MemberNotFound, MemberMerged, InsufficientPoints, and
    AlreadyHeld when other points are held for the same.
    """
    session = transaction.session
    member = (await lock_settled(transaction, member_id=member_id, lots="open")).active()
    member = await release_ran_out(transaction, member)
    known = await store.find_hold(
        session, member_id=member_id, purpose=purpose, reference=reference
    )
    if known is not None:
        return await _held_before(transaction, member=member, hold=known, points=points)
    minutes = minutes or member.programme.points.hold_minutes
    redemption = Redemption(
        id=new_id("rdm", at=transaction.now),
        member_id=member_id,
        state="held",
        points=points,
        purpose=purpose,
        reference=reference,
        hold_expires_at=transaction.now + timedelta(minutes=minutes),
        created_at=transaction.now,
    )
    return await _hold(transaction, member=member, redemption=redemption)


async def capture_hold(
    transaction: Transaction, *, redemption_id: str, points: int | None
) -> Redemption:
    """Spend held points, all if not said; what is left of them goes back to its lots.

    Asked again for the same, it answers with what is on record. Raises NotFound,
    RedemptionOfCheckout, HoldExpired, RedemptionClosed, CaptureExceedsHold, MemberNotFound and
    MemberMerged.
    """
    member, redemption = await lock_redemption(transaction, redemption_id=redemption_id)
    captured = points_to_capture(standing_of(redemption), asked=points, now=transaction.now)
    if captured == 0:
        return redemption
    settled = settle(transaction, member.active())
    member = _capture(transaction, member=settled, redemption=redemption, points=captured)
    if captured < redemption.points:
        member = await return_points(
            transaction,
            member=member,
            redemption=redemption,
            points=redemption.points - captured,
            debit="held",
        )
    redemption.state = "redeemed"
    redemption.closed_at = transaction.now
    # Held points were spent now: that is activity, as it is for points spent at once, and what
    # came back is renewed as if it had stayed.
    await save_members(transaction.session, [await note_activity(transaction, member)])
    return redemption


async def release_hold(transaction: Transaction, *, redemption_id: str) -> Redemption:
    """Give held points back to their lots; released again, it answers with what is on record.

    Raises NotFound, RedemptionOfCheckout and RedemptionClosed.
    """
    member, redemption = await lock_redemption(transaction, redemption_id=redemption_id)
    if not is_to_release(standing_of(redemption)):
        return redemption
    member = await return_points(
        transaction,
        member=settle(transaction, member),
        redemption=redemption,
        points=redemption.points,
        debit="held",
    )
    redemption.state = "released"
    redemption.closed_at = transaction.now
    await save_members(transaction.session, [member])
    return redemption


async def release_stale_holds(transaction: Transaction) -> int:
    """Give back some holds whose time is over, of members nobody else is at; says how many.

    Those of the checkout go with their reservation.
    """
    session, now = transaction.session, transaction.now
    due = await store.members_with_stale_holds(
        session, now=now, but=transaction.left_out, limit=_HOLDS_PER_STEP
    )

    async def release(ids: Sequence[str]) -> int:
        locked = await lock_members(session, member_ids=ids, now=now, lots="due", skip_locked=True)
        holds = await store.stale_holds(
            session, member_ids=list(locked), now=now, limit=_HOLDS_PER_STEP
        )
        owners = {hold.member_id: locked[hold.member_id] for hold in holds}
        members = await _release_stale(
            transaction,
            members={id_: settle(transaction, one) for id_, one in owners.items()},
            holds=holds,
        )
        await save_members(session, list(members.values()))
        return len(holds)

    return await apart(transaction, due, release)


async def _release_stale(
    transaction: Transaction,
    *,
    members: Mapping[str, LockedMember],
    holds: Sequence[Redemption],
) -> Mapping[str, LockedMember]:
    """Release holds as of the moment when they ran out; the caller saves the members."""
    released = dict(members)
    for redemption in holds:
        member = released[redemption.member_id]
        released[member.id] = await end_hold(transaction, member=member, redemption=redemption)
    return released


async def _hold(transaction: Transaction, *, member: LockedMember, redemption: Redemption) -> Held:
    cause = Cause(kind="redemption", id=redemption.id)
    account = hold(
        member.account,
        points=redemption.points,
        cause=cause,
        programme_version=member.programme.version,
        stamp=stamp_of(transaction),
    )
    await save_members(transaction.session, [member.with_account(account)])
    store.add_redemption(transaction.session, redemption)
    lots = _by_id(taken_by(account, cause=cause))
    return Held(redemption=redemption, balances=account.balances, lots=lots)


async def _held_before(
    transaction: Transaction, *, member: LockedMember, hold: Redemption, points: int
) -> Held:
    if hold.points != points:
        raise AlreadyHeld(id=hold.id, points=hold.points)
    if member.account.touched:
        await save_members(transaction.session, [member])
    balances, lots = await store.as_held(transaction.session, redemption=hold)
    return Held(redemption=hold, balances=balances, lots=_by_id(lots), new=False)


def _by_id(lots: Sequence[Allocation]) -> tuple[Allocation, ...]:
    return tuple(sorted(lots, key=lambda part: part.lot_id))


def _capture(
    transaction: Transaction, *, member: LockedMember, redemption: Redemption, points: int
) -> LockedMember:
    account = capture(
        member.account,
        points=points,
        cause=Cause(kind="redemption", id=redemption.id),
        programme_version=member.programme.version,
        stamp=stamp_of(transaction),
    )
    redeemed = PointsRedeemed(
        member_id=member.id,
        redemption_id=redemption.id,
        points=points,
        purpose=redemption.purpose,
    )
    transaction.record(redeemed, subject=member.id)
    return member.with_account(account)
