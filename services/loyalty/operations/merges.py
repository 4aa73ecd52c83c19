"""Merging two members who are one person.

Locks are taken in one order everywhere: accounts by id, members' own rows by id, then what moves.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from services.loyalty.domain.lots import Cause
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.domain.merges import (
    ORDERS_MAX,
    MergeHoldsConflict,
    MergeTooLarge,
    MergeWithItself,
    hand_over,
    repay_debt,
)
from services.loyalty.domain.merges_profile import FIELDS, ProfileFacts, fill
from services.loyalty.domain.merges_standing import merged_standing
from services.loyalty.domain.tiers import Standing
from services.loyalty.operations.points import settle, stamp_of
from services.loyalty.operations.tiers import note_tier
from services.loyalty.store import merges as store
from services.loyalty.store import merges_moves as moves
from services.loyalty.store.accounts import LockedMember, lock_members
from services.loyalty.store.books import save_members
from services.loyalty.store.imports_points import next_moment
from services.loyalty.store.tables import Member, MemberMerge
from shared.contracts.loyalty import MemberMerged
from shared.db import Transaction
from shared.kernel.ids import new_id


async def merge_members(
    transaction: Transaction,
    *,
    member_id: str,
    source_member_id: str,
    reason: str,
) -> MemberMerge:
    """Make the source go on as the member: all that the source has is the member's from now on.

    Raises MergeWithItself, MemberNotFound, MemberMerged, MergeTooLarge, MergeHoldsConflict and
    BalanceLimitReached.
    """
    session = transaction.session
    if member_id == source_member_id:
        raise MergeWithItself
    both = await lock_both(transaction, member_id, source_member_id)
    target, source = both[member_id].active(), both[source_member_id].active()
    if await store.has_more_orders(session, member_id=source.id, than=ORDERS_MAX):
        raise MergeTooLarge(most=ORDERS_MAX)
    if await store.hold_the_same(session, member_id=target.id, source=source.id):
        raise MergeHoldsConflict
    at = await next_moment(session, member_ids=[target.id, source.id], now=transaction.now)
    merge = _new_merge(transaction, target=target, source=source, reason=reason, at=at)
    merge.number = await store.next_number(session, member_id=target.id)
    await _join_rows(transaction, merge=merge)
    await store.add_merge(session, merge)
    await moves.move_all(session, merge_id=merge.id, source=source.id, target=target.id)
    await moves.move_lots(session, merge_id=merge.id, giver=source.id, taker=target.id, back=False)
    merge.orders_debt = await store.orders_debt(session, merge_id=merge.id)
    await save_members(session, _merged(transaction, merge, target=target, source=source))
    _note(transaction, merge=merge)
    return merge


async def lock_both(transaction: Transaction, one: str, other: str) -> Mapping[str, LockedMember]:
    """Both members with all their open lots, up to the present. Raises MemberNotFound."""
    found = await lock_members(
        transaction.session, member_ids=[one, other], now=transaction.now, lots="open"
    )
    if len(found) < len({one, other}):
        raise MemberNotFound
    return {member_id: settle(transaction, member) for member_id, member in found.items()}


def profile_of(member: Member) -> ProfileFacts:
    """What is told about a member."""
    return ProfileFacts(
        fields={name: getattr(member, name) for name in FIELDS},
        tags=member.tags,
        consents=member.consents,
    )


def take_profile(member: Member, facts: ProfileFacts) -> None:
    """Write what is told about a member."""
    for name, value in facts.fields.items():
        setattr(member, name, value)
    member.tags = list(facts.tags)
    member.consents = {name: dict(given) for name, given in facts.consents.items()}


def _new_merge(
    transaction: Transaction,
    *,
    target: LockedMember,
    source: LockedMember,
    reason: str,
    at: datetime,
) -> MemberMerge:
    moved = source.account.balances
    debt = target.account.balances.debt + moved.debt
    return MemberMerge(
        id=new_id("mrg", at=transaction.now),
        member_id=target.id,
        source_member_id=source.id,
        number=0,
        reason=reason,
        available=moved.available,
        pending=moved.pending,
        held=moved.held,
        debt=moved.debt,
        repaid=min(target.account.balances.available + moved.available, debt),
        orders_debt=0,
        member_standing=standing_document(target.standing),
        source_standing=standing_document(source.standing),
        filled={},
        merged_by=transaction.actor,
        merged_at=at,
    )


def standing_document(standing: Standing) -> dict[str, Any]:
    """A standing as kept in the record."""
    until = standing.valid_until
    return {
        **asdict(standing),
        "since": standing.since.isoformat(),
        "valid_until": None if until is None else until.isoformat(),
    }


async def _join_rows(transaction: Transaction, *, merge: MemberMerge) -> None:
    """Join the profiles, and say of the source where it lives on."""
    wanted = [merge.member_id, merge.source_member_id]
    rows = await store.lock_rows(transaction.session, member_ids=wanted)
    target, source = rows[merge.member_id], rows[merge.source_member_id]
    facts, filled = fill(profile_of(target), profile_of(source))
    take_profile(target, facts)
    marked = source.previously_erased and not target.previously_erased
    merge.filled = {**asdict(filled), "previously_erased": marked}
    target.previously_erased = target.previously_erased or marked
    target.updated_at = source.updated_at = transaction.now
    source.state, source.merged_into = "merged", target.id
    await transaction.session.flush()


def _merged(
    transaction: Transaction, merge: MemberMerge, *, target: LockedMember, source: LockedMember
) -> list[LockedMember]:
    """Both members after points, debt and growth were handed over."""
    cause, stamp = Cause(kind="merge", id=merge.id), stamp_of(transaction)
    version = target.programme.version
    given, taken = hand_over(
        source.account,
        target.account,
        lots=[*source.account.lots_in("available"), *source.account.lots_in("pending")],
        held=merge.held,
        debt=merge.debt,
        cause=cause,
        programme_version=version,
        stamp=stamp,
    )
    taken = repay_debt(taken, cause=cause, programme_version=version, stamp=stamp)
    standing = merged_standing(
        target.standing, source.standing, programme=target.programme, now=transaction.now
    )
    after = target.with_account(taken).with_standing(standing)
    note_tier(transaction, before=target, after=after, cause_kind=cause.kind, cause_id=cause.id)
    nothing = replace(source.standing, growth=0)
    return [after, source.with_account(given).with_standing(nothing)]


def _note(transaction: Transaction, *, merge: MemberMerge) -> None:
    for subject in (merge.member_id, merge.source_member_id):
        event = MemberMerged(
            merge_id=merge.id,
            member_id=merge.member_id,
            source_member_id=merge.source_member_id,
            merged_at=merge.merged_at,
        )
        transaction.record(event, subject=subject)
