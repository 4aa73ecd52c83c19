"""What loyalty answers: that a reward was issued, used, refused, or taken back.

Each answer may decide what comes next: a taken-back reward whose stage is reached again is granted
once more, but only when it is known that nothing is left of it.
"""

from collections.abc import Callable
from typing import Final

from services.referral.domain import rewards as rules
from services.referral.operations.referrals import reconcile
from services.referral.store import facts as fact_store
from services.referral.store import rewards as store
from services.referral.store.tables import Reward
from shared.db import Transaction

#: A voucher's later states, after `issued`; whichever is heard first stays, unless it is restored.
_FINAL: Final = ("redeemed", "voided")


class UnknownReward(Exception):
    """Loyalty speaks of a reward that was never asked for here: a person has to look."""


async def hear_voucher(
    transaction: Transaction, *, reward_id: str, voucher_id: str, state: rules.VoucherState
) -> None:
    """A reward's voucher was put into the wallet, used, or voided. Raises UnknownReward."""

    def change(row: Reward) -> rules.Reward:
        if row.voucher_state not in _FINAL:
            row.voucher_state = state
        return rules.with_voucher(store.as_ruled(row), voucher_id=voucher_id)

    await _hear(transaction, reward_id=reward_id, change=change)


async def hear_restored(transaction: Transaction, *, reward_id: str) -> None:
    """A reward's used voucher can be used again: nothing is kept of its order."""

    def change(row: Reward) -> rules.Reward:
        if row.voucher_state == "redeemed":
            row.voucher_state = "issued"
        return store.as_ruled(row)

    await _hear(transaction, reward_id=reward_id, change=change)


async def hear_refusal(transaction: Transaction, *, reward_id: str, reason: str) -> None:
    """Loyalty will never issue a reward, for instance because its member is gone."""
    await _hear(
        transaction,
        reward_id=reward_id,
        change=lambda row: rules.with_refusal(store.as_ruled(row), reason=reason),
    )


async def hear_reversal(
    transaction: Transaction, *, reward_id: str, outcome: rules.Outcome, voucher_id: str | None
) -> None:
    """Loyalty has taken a reward back. Raises UnknownReward, ReversalUnasked."""
    await _hear(
        transaction,
        reward_id=reward_id,
        change=lambda row: rules.with_outcome(
            store.as_ruled(row), outcome=outcome, voucher_id=voucher_id
        ),
    )


async def _hear(
    transaction: Transaction, *, reward_id: str, change: Callable[[Reward], rules.Reward]
) -> None:
    session = transaction.session
    referee_id = await store.referee_of(session, reward_id=reward_id)
    if referee_id is None:
        raise UnknownReward(reward_id)
    await fact_store.lock_member(session, member_id=referee_id, now=transaction.now)
    row = await store.read(session, reward_id=reward_id)
    changed = change(row)
    row.state, row.outcome, row.reason = changed.state, changed.outcome, changed.reason
    row.voucher_id = changed.voucher_id
    row.updated_at = transaction.now
    await store.save(session, row)
    await reconcile(transaction, referee_id=referee_id)
