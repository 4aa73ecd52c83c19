"""Cancelling a redemption: exactly the lots that paid get their points back."""

from services.loyalty.domain.lots import Cause
from services.loyalty.domain.redemptions import is_to_cancel
from services.loyalty.operations.points import settle
from services.loyalty.operations.returns import lock_redemption, return_points, standing_of
from services.loyalty.store.books import save_members
from services.loyalty.store.entry_reasons import add_reason
from services.loyalty.store.tables import Redemption
from shared.db import Transaction


async def cancel_redemption(
    transaction: Transaction, *, redemption_id: str, reason: str | None
) -> Redemption:
    """Give spent points back, with the expiry they had and the programme's grace; once.

    Cancelled again, it answers with what is on record. Raises NotFound, RedemptionOfCheckout,
    RedemptionHeld, RedemptionClosed, MemberNotFound and MemberMerged.
    """
    member, redemption = await lock_redemption(transaction, redemption_id=redemption_id)
    standing = standing_of(redemption)
    if not is_to_cancel(standing):
        return redemption
    member = await return_points(
        transaction,
        member=settle(transaction, member.active()),
        redemption=redemption,
        points=standing.kept,
        debit="redeemed",
        grace=member.programme.points.restore_grace,
    )
    redemption.state = "cancelled"
    redemption.closed_at = transaction.now
    await save_members(transaction.session, [member])
    cause = Cause(kind="redemption", id=redemption.id)
    await add_reason(transaction.session, cause=cause, member_ids=[member.id], reason=reason)
    return redemption
