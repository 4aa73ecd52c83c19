"""Moving a member between tiers: the record and the event."""

from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.tables import TierChange
from services.loyalty.store.tiers import add_tier_change
from shared.contracts.loyalty import TierChanged
from shared.db import Occasion, Transaction
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
    change = tier_move(
        transaction, before=before, after=after, cause_kind=cause_kind, cause_id=cause_id
    )
    if change is not None:
        add_tier_change(transaction.session, change)


def tier_move(
    occasion: Occasion,
    *,
    before: LockedMember,
    after: LockedMember,
    cause_kind: str,
    cause_id: str,
) -> TierChange | None:
    """Tell that a member stands in another tier, if so, and give the row that is to be written."""
    if before.standing.tier_code == after.standing.tier_code:
        return None
    change = TierChanged(
        member_id=after.id,
        from_tier=before.standing.tier_code,
        to_tier=after.standing.tier_code,
        growth=after.standing.growth,
        cause_kind=cause_kind,
        cause_id=cause_id,
    )
    occasion.record(change, subject=after.id)
    return TierChange(
        id=new_id("tch", at=occasion.now), occurred_at=occasion.now, **change.model_dump()
    )
