"""The thresholds by which live events are scored."""

from services.segmentation.domain.standings import ThresholdSet, first_threshold_set
from services.segmentation.store.thresholds import keep_threshold_set, threshold_set_in_force
from shared.db import Transaction
from shared.kernel.clock import business_day
from shared.kernel.ids import new_id


async def thresholds_in_force(transaction: Transaction) -> ThresholdSet:
    """The set in force; made on first use. The caller holds the writing lock."""
    found = await threshold_set_in_force(transaction.session)
    if found is not None:
        return found
    now = transaction.now
    made = first_threshold_set(id=new_id("ths", at=now), as_of=business_day(now))
    await keep_threshold_set(transaction.session, made=made, now=now, in_force=True)
    return made
