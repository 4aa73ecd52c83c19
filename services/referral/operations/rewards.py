"""Rewards: bringing them to what was decided, and asking loyalty for what follows."""

from services.referral.domain import rewards as rules
from services.referral.domain.programme import Programme
from services.referral.store import rewards as store
from services.referral.store.tables import Referral, Reward
from shared.contracts.referral import RewardDue, RewardReversalDue
from shared.db import Transaction


async def change_reward(
    transaction: Transaction, *, referral: Referral, change: rules.Reward, programme: Programme
) -> None:
    """Bring one reward to what was decided, and ask loyalty for what follows from it."""
    row = await store.row_for(
        transaction.session,
        referral=referral,
        change=change,
        programme=programme,
        now=transaction.now,
    )
    row.state = change.state
    row.outcome = change.outcome
    row.reason = change.reason
    row.updated_at = transaction.now
    if change.voucher_id is not None and row.voucher_id is None:
        # Only a used voucher is handed on from one generation to the next.
        row.voucher_id, row.voucher_state = change.voucher_id, "redeemed"
    await store.save(transaction.session, row)
    if change.state == "issuing":
        transaction.record(_due(row), subject=referral.id)
    elif change.state == "reversed" and change.outcome is None:
        transaction.record(_reversal_due(row), subject=referral.id)


def _due(row: Reward) -> RewardDue:
    return RewardDue(
        reward_id=row.id,
        referral_id=row.referral_id,
        stage=row.stage,
        role=store.role_of(row),
        beneficiary_id=row.beneficiary_id,
        amount_fen=row.amount_fen,
        threshold_fen=row.threshold_fen,
        validity_days=row.validity_days,
    )


def _reversal_due(row: Reward) -> RewardReversalDue:
    return RewardReversalDue(
        reward_id=row.id,
        referral_id=row.referral_id,
        beneficiary_id=row.beneficiary_id,
        reason=row.reason or "",
    )
