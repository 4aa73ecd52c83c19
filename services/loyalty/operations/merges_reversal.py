"""Taking a merge back: what came from the source and is still there goes back to it.

What of it was spent meanwhile is gone: it was spent by the person both were taken for, and nothing
is made up. Debt goes back as far as the source brought it or refunds of its orders made it since,
and what one had repaid for the other at the merge is undone (docs/adr/0012).
"""

from datetime import datetime
from typing import Any

from services.loyalty.domain.lots import Cause
from services.loyalty.domain.merges import (
    MergeFinal,
    MergeNotLast,
    MergeReversed,
    debt_that_goes_back,
    hand_over,
    repay_debt,
    undo_repayment,
)
from services.loyalty.domain.merges_profile import Filled, empty_again
from services.loyalty.domain.merges_standing import restored_standing
from services.loyalty.domain.programme import growth_window_start
from services.loyalty.domain.tiers import Standing
from services.loyalty.operations.merges import lock_both, profile_of, take_profile
from services.loyalty.operations.points import stamp_of
from services.loyalty.operations.tiers import note_tier
from services.loyalty.store import merges as store
from services.loyalty.store import merges_moves as moves
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import save_members
from services.loyalty.store.imports_orders import hold_orders
from services.loyalty.store.imports_points import next_moment
from services.loyalty.store.tables import MemberMerge
from shared.contracts.loyalty import MemberUnmerged
from shared.db import Transaction
from shared.kernel.errors import NotFound


async def reverse_merge(
    transaction: Transaction,
    *,
    merge_id: str,
    reason: str,
) -> MemberMerge:
    """Take a merge back, once.

    The orders that go back are held first, as everybody holds an order before an account: so a
    refund finds its order with one of the two, never in between. Raises NotFound, MergeReversed,
    MergeNotLast and MergeFinal.
    """
    session = transaction.session
    orders = await moves.moved_orders(session, merge_id=merge_id)
    if orders:
        await hold_orders(session, order_ids=orders)
    found = await store.find_merge(session, merge_id=merge_id)
    if found is None:
        raise NotFound
    both = await lock_both(transaction, found.member_id, found.source_member_id)
    merge = await store.find_merge(session, merge_id=merge_id, lock=True)
    assert merge is not None, "merges are never deleted"
    target, source = both[merge.member_id], both[merge.source_member_id]
    await _refuse(transaction, merge=merge, target=target, source=source)
    await _part_rows(transaction, merge=merge)
    coming = await moves.lots_that_go_back(session, merge_id=merge.id, source=source.id)
    await moves.return_all(session, merge_id=merge.id, source=source.id, target=target.id)
    target, source = await _part_points(
        transaction, merge=merge, target=target, source=source, coming=coming
    )
    await moves.move_lots(session, merge_id=merge.id, giver=target.id, taker=source.id, back=True)
    parted = await _part_standings(transaction, merge=merge, target=target, source=source)
    await save_members(session, parted)
    await _record(transaction, merge=merge, reason=reason)
    return merge


async def _refuse(
    transaction: Transaction, *, merge: MemberMerge, target: LockedMember, source: LockedMember
) -> None:
    if merge.reversed_at is not None:
        raise MergeReversed
    if target.state != "active" or source.state != "merged":
        raise MergeFinal
    if await store.has_later_merge(transaction.session, merge=merge):
        raise MergeNotLast


async def _part_rows(transaction: Transaction, *, merge: MemberMerge) -> None:
    wanted = [merge.member_id, merge.source_member_id]
    rows = await store.lock_rows(transaction.session, member_ids=wanted)
    target, source = rows[merge.member_id], rows[merge.source_member_id]
    filled = dict(merge.filled)
    if filled.pop("previously_erased", False):
        target.previously_erased = False
    take_profile(target, empty_again(profile_of(target), profile_of(source), Filled(**filled)))
    target.updated_at = source.updated_at = transaction.now
    source.state, source.merged_into = "active", None
    await transaction.session.flush()


async def _part_points(
    transaction: Transaction,
    *,
    merge: MemberMerge,
    target: LockedMember,
    source: LockedMember,
    coming: set[str],
) -> tuple[LockedMember, LockedMember]:
    session, stamp = transaction.session, stamp_of(transaction)
    cause, version = Cause(kind="merge", id=merge.id), target.programme.version
    paid = await store.lots_that_repaid(session, member_id=target.id, merge_id=merge.id)
    account = undo_repayment(
        target.account, paid=paid, cause=cause, programme_version=version, stamp=stamp
    )
    since = await store.orders_debt(session, merge_id=merge.id) - merge.orders_debt
    lots = [
        lot
        for lot in [*account.lots_in("available"), *account.lots_in("pending")]
        if lot.id in coming
    ]
    merge.returned_debt = debt_that_goes_back(
        present=account.balances.debt, brought=merge.debt, caused_since=since
    )
    merge.returned_held = await store.held_points(session, member_id=source.id)
    merge.returned_available = sum(lot.remaining for lot in lots if lot.state == "available")
    merge.returned_pending = sum(lot.remaining for lot in lots if lot.state == "pending")
    given, taken = hand_over(
        account,
        source.account,
        lots=lots,
        held=merge.returned_held,
        debt=merge.returned_debt,
        cause=cause,
        programme_version=version,
        stamp=stamp,
    )
    given = repay_debt(given, cause=cause, programme_version=version, stamp=stamp)
    taken = repay_debt(taken, cause=cause, programme_version=version, stamp=stamp)
    return target.with_account(given), source.with_account(taken)


async def _part_standings(
    transaction: Transaction, *, merge: MemberMerge, target: LockedMember, source: LockedMember
) -> list[LockedMember]:
    """Both members where they would stand by their own growth."""
    programme, now = target.programme, transaction.now
    growth = await store.own_growth(
        transaction.session,
        member_ids=[target.id, source.id],
        now_from=growth_window_start(programme, now=now),
        then_from=growth_window_start(programme, now=merge.merged_at),
    )
    befores = [(target, merge.member_standing), (source, merge.source_standing)]
    parted = []
    for member, document in befores:
        standing = restored_standing(
            _standing(document), growth=growth[member.id], programme=programme, now=now
        )
        after = member.with_standing(standing)
        note_tier(transaction, before=member, after=after, cause_kind="merge", cause_id=merge.id)
        parted.append(after)
    return parted


def _standing(document: dict[str, Any]) -> Standing:
    until = document["valid_until"]
    return Standing(
        tier_code=document["tier_code"],
        floor_code=document["floor_code"],
        since=datetime.fromisoformat(document["since"]),
        valid_until=None if until is None else datetime.fromisoformat(until),
        growth=document["growth"],
    )


async def _record(transaction: Transaction, *, merge: MemberMerge, reason: str) -> None:
    """Say in the record of the merge, and tell, that it was taken back, by whom and why."""
    session, both = transaction.session, (merge.member_id, merge.source_member_id)
    at = await next_moment(session, member_ids=both, now=transaction.now)
    merge.reversed_at, merge.reversed_by = at, transaction.actor
    merge.reversal_reason = reason
    await session.flush()
    for subject in both:
        event = MemberUnmerged(
            merge_id=merge.id,
            member_id=merge.member_id,
            source_member_id=merge.source_member_id,
            unmerged_at=at,
        )
        transaction.record(event, subject=subject)
