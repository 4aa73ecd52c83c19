"""Adjustments: points that an operator gives or takes, large ones by two people."""

from datetime import timedelta

from services.loyalty.domain.adjustments import (
    Decision,
    Request,
    give_points,
    is_to_decide,
    needs_second_person,
    take_points,
)
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.programme import expires_at
from services.loyalty.operations.points import lock_settled, settle, stamp_of
from services.loyalty.operations.stale import release_ran_out
from services.loyalty.store import adjustments as store
from services.loyalty.store.accounts import LockedMember, lock_member
from services.loyalty.store.books import save_members
from services.loyalty.store.entry_reasons import add_reason
from services.loyalty.store.tables import Adjustment
from shared.contracts.loyalty import AdjustmentRejected, AdjustmentRequested, PointsAdjusted
from shared.db import Transaction
from shared.kernel.clock import business_day, business_day_start
from shared.kernel.errors import NotFound
from shared.kernel.ids import new_id


async def adjust_points(
    transaction: Transaction, *, member_id: str, points: int, reason: str
) -> Adjustment:
    """Give a member points, or take (negative) points; beyond the limit, ask a second person.

    What waits for a second person moves nothing. Raises MemberNotFound, MemberMerged and
    InsufficientPoints.
    """
    member = (await lock_settled(transaction, member_id=member_id, lots="open")).active()
    adjustment = Adjustment(
        id=new_id("adj", at=transaction.now),
        member_id=member_id,
        points=points,
        reason=reason,
        state="applied",
        requested_by=transaction.actor,
        created_at=transaction.now,
    )
    limit = member.programme.points.approval_above
    alone_today = await _adjusted_alone_today(transaction, member_id=member_id)
    if needs_second_person(points=points, alone_today=alone_today, limit=limit):
        adjustment.state = "awaiting_approval"
        requested = AdjustmentRequested(
            member_id=member_id, adjustment_id=adjustment.id, points=points
        )
        transaction.record(requested, subject=member_id)
    else:
        member = await _apply(transaction, member=member, adjustment=adjustment)
    await save_members(transaction.session, [member])
    store.add_adjustment(transaction.session, adjustment)
    if adjustment.state == "applied":
        await _keep_reason(transaction, adjustment)
    return adjustment


async def decide_adjustment(
    transaction: Transaction, *, adjustment_id: str, decision: Decision, reason: str
) -> Adjustment:
    """Approve or reject what waits for a second person; a decision counts once.

    Decided so before by the same person, it answers with what is on record. An approval that
    cannot be carried out leaves the adjustment waiting. Raises NotFound, SecondPersonNeeded,
    AdjustmentDecided, MemberNotFound, MemberMerged and InsufficientPoints.
    """
    session = transaction.session
    found = await store.find_adjustment(session, adjustment_id=adjustment_id)
    if found is None:
        raise NotFound
    member = await lock_member(session, member_id=found.member_id, now=transaction.now, lots="open")
    # Read again: somebody may have decided it while this waited for the lock.
    adjustment = await store.find_adjustment(session, adjustment_id=adjustment_id)
    assert adjustment is not None
    while adjustment.member_id != member.id:  # a merge or its reversal came in between
        member = await lock_member(
            session, member_id=adjustment.member_id, now=transaction.now, lots="open"
        )
        adjustment = await store.find_adjustment(session, adjustment_id=adjustment_id)
        assert adjustment is not None
    if not is_to_decide(_request(adjustment), decision=decision, by=transaction.actor):
        return adjustment
    adjustment.decided_by = transaction.actor
    adjustment.decided_at = transaction.now
    adjustment.decision_reason = reason
    if decision == "reject":
        adjustment.state = "rejected"
        rejected = AdjustmentRejected(
            member_id=member.id, adjustment_id=adjustment.id, points=adjustment.points
        )
        transaction.record(rejected, subject=member.id)
        return adjustment
    adjustment.state = "applied"
    member = settle(transaction, member.active())
    member = await _apply(transaction, member=member, adjustment=adjustment)
    await save_members(session, [member])
    await _keep_reason(transaction, adjustment)
    return adjustment


async def _apply(
    transaction: Transaction, *, member: LockedMember, adjustment: Adjustment
) -> LockedMember:
    cause = _cause(adjustment)
    version, stamp = member.programme.version, stamp_of(transaction)
    until = None
    if adjustment.points < 0:
        member = await release_ran_out(transaction, member)
        account = take_points(
            member.account,
            points=-adjustment.points,
            cause=cause,
            programme_version=version,
            stamp=stamp,
        )
    else:
        until = expires_at(member.programme.expiry, available_at=transaction.now)
        account = give_points(
            member.account,
            points=adjustment.points,
            lot_id=new_id("lot", at=transaction.now),
            expires_at=until,
            cause=cause,
            programme_version=version,
            stamp=stamp,
        )
    adjusted = PointsAdjusted(
        member_id=member.id,
        adjustment_id=adjustment.id,
        points=adjustment.points,
        expires_at=until,
    )
    transaction.record(adjusted, subject=member.id)
    return member.with_account(account)


def _cause(adjustment: Adjustment) -> Cause:
    return Cause(kind="adjustment", id=adjustment.id)


async def _keep_reason(transaction: Transaction, adjustment: Adjustment) -> None:
    await add_reason(
        transaction.session,
        cause=_cause(adjustment),
        member_ids=[adjustment.member_id],
        reason=adjustment.reason,
    )


async def _adjusted_alone_today(transaction: Transaction, *, member_id: str) -> int:
    day = business_day(transaction.now)
    return await store.adjusted_alone(
        transaction.session,
        member_id=member_id,
        requested_by=transaction.actor,
        since=business_day_start(day),
        until=business_day_start(day + timedelta(days=1)),
    )


def _request(adjustment: Adjustment) -> Request:
    return Request(
        id=adjustment.id,
        state=adjustment.state,  # type: ignore[arg-type]
        requested_by=adjustment.requested_by,
        decided_by=adjustment.decided_by,
    )
