"""What every change of points has in common: due lots are released first, and what was posted
is told to the log.
"""

from collections.abc import Sequence
from typing import Final

from services.loyalty.domain.ledger import Stamp
from services.loyalty.domain.points import release_due
from services.loyalty.store.accounts import LockedMember, LotChoice, lock_member, lock_members
from services.loyalty.store.books import save_members
from services.loyalty.store.points import members_with_due_lots
from shared.contracts.loyalty import PointsReleased
from shared.db import Occasion, Transaction
from shared.jobs import apart

_MEMBERS_PER_STEP: Final = 200


def stamp_of(occasion: Occasion) -> Stamp:
    """When and for whom things are recorded."""
    return Stamp(at=occasion.now, actor=occasion.actor)


def settle(occasion: Occasion, member: LockedMember) -> LockedMember:
    """Release the member's lots that are due, as every write does first.

    So a member can spend points from the very moment they are due, whether or not the job has
    come by.
    """
    account = release_due(member.account, stamp=stamp_of(occasion))
    if account is member.account:
        return member
    for entry in account.entries[len(member.account.entries) :]:
        if entry.kind == "released":
            occasion.record(
                PointsReleased(
                    member_id=member.id,
                    points=entry.points,
                    cause_kind=entry.cause.kind,
                    cause_id=entry.cause.id,
                ),
                subject=member.id,
            )
    return member.with_account(account)


async def lock_settled(
    transaction: Transaction, *, member_id: str, lots: LotChoice = "due"
) -> LockedMember:
    """Lock a member's account and bring it up to the present. Raises MemberNotFound."""
    member = await lock_member(
        transaction.session, member_id=member_id, now=transaction.now, lots=lots
    )
    return settle(transaction, member)


async def release_due_lots(transaction: Transaction) -> int:
    """Release what has become due, for some members that nobody else is at; says how many."""
    session, now = transaction.session, transaction.now
    due = await members_with_due_lots(
        session, now=now, but=transaction.left_out, limit=_MEMBERS_PER_STEP
    )

    async def release(ids: Sequence[str]) -> int:
        locked = await lock_members(session, member_ids=ids, now=now, lots="due", skip_locked=True)
        settled = [settle(transaction, member) for member in locked.values()]
        changed = [member for member in settled if member.account.entries]
        if changed:
            await save_members(session, changed)
        return len(changed)

    return await apart(transaction, due, release)
