"""Moving a member between tiers: the record and the event."""

from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.tables import TierChange
from services.loyalty.store.tiers import add_tier_change
from shared.contracts.loyalty import TierChanged
from shared.db import Transaction
from shared.kernel.ids import new_id


def note_tier(
    transaction: Transaction,
    *,
    before: LockedMember,
    after: LockedMember,
    cause_kind: str,
    cause_id: str,
) -> None:
    """Record that a member stands in another tier, if so."""
    if before.standing.tier_code == after.standing.tier_code:
        return
    change = TierChanged(
        member_id=after.id,
        from_tier=before.standing.tier_code,
        to_tier=after.standing.tier_code,
        growth=after.standing.growth,
        cause_kind=cause_kind,
        cause_id=cause_id,
    )
    transaction.record(change, subject=after.id)
    add_tier_change(
        transaction.session,
        TierChange(
            id=new_id("tch", at=transaction.now),
            occurred_at=transaction.now,
            **change.model_dump(),
        ),
    )
