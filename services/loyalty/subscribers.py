"""Door 2: events of other services, one line per type."""

from services.loyalty.operations.rewards import issue_reward, reverse_reward
from shared.contracts.referral import RewardDue, RewardReversalDue
from shared.db import Transaction
from shared.events.applying import Handlers, on


async def _on_reward_due(transaction: Transaction, data: RewardDue) -> None:
    await issue_reward(
        transaction,
        reward_id=data.reward_id,
        referral_id=data.referral_id,
        beneficiary_id=data.beneficiary_id,
        amount_fen=data.amount_fen,
        threshold_fen=data.threshold_fen,
        validity_days=data.validity_days,
    )


async def _on_reversal_due(transaction: Transaction, data: RewardReversalDue) -> None:
    await reverse_reward(
        transaction,
        reward_id=data.reward_id,
        referral_id=data.referral_id,
        beneficiary_id=data.beneficiary_id,
        reason=data.reason,
    )


FROM_REFERRAL: Handlers = dict(
    [
        on(RewardDue, _on_reward_due),
        on(RewardReversalDue, _on_reversal_due),
    ]
)
