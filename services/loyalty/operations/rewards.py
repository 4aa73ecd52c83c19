"""Rewards from referral: a voucher for each, once, and taken back when the reason for it is gone.

Both operations are called any number of times and in any order; what remains depends only on
which of them were called.
"""

from typing import Final, Literal

from services.loyalty.domain.rewards import reverse, reward_key
from services.loyalty.domain.vouchers import Worth
from services.loyalty.operations.vouchers import put_into_wallets
from services.loyalty.store import rewards as store
from services.loyalty.store import voucher_templates as template_store
from services.loyalty.store import vouchers as voucher_store
from services.loyalty.store.tables import Reward, Voucher
from shared.contracts.loyalty import RewardRefused, RewardReversed, VoucherVoided
from shared.db import Transaction
from shared.kernel.ids import new_id
from shared.kernel.money import yuan_text
from shared.kernel.texts import DEFAULT_LANGUAGE, text

REWARD_SOURCE: Final = "referral_reward"


async def issue_reward(
    transaction: Transaction,
    *,
    reward_id: str,
    referral_id: str,
    beneficiary_id: str,
    amount_fen: int,
    threshold_fen: int,
    validity_days: int,
) -> None:
    """Put a reward's voucher into the wallet of its beneficiary, or of whom they merged into.

    Nothing happens for a reward that is known: issued, refused, or reversed before it came. A
    beneficiary who does not exist or was erased has the reward refused, for good.
    """
    if await store.find_reward(transaction.session, reward_id=reward_id) is not None:
        return
    member = await store.surviving_member(transaction.session, member_id=beneficiary_id)
    reward = Reward(
        reward_id=reward_id,
        referral_id=referral_id,
        member_id=member.id if member is not None else beneficiary_id,
        state="refused",
        created_at=transaction.now,
    )
    if member is None or member.state != "active":
        reward.reason = "member_unknown" if member is None else "member_erased"
        refused = RewardRefused(
            reward_id=reward_id, member_id=reward.member_id, reason=reward.reason
        )
        transaction.record(refused, subject=reward.member_id)
    else:
        reward.state = "issued"
        reward.voucher_id = await _issue(
            transaction,
            reward_id=reward_id,
            member_id=member.id,
            worth=Worth(kind="amount_off", amount_fen=amount_fen, threshold_fen=threshold_fen),
            validity_days=validity_days,
        )
    await store.save_reward(transaction.session, reward)


async def reverse_reward(
    transaction: Transaction,
    *,
    reward_id: str,
    referral_id: str,
    beneficiary_id: str,
    reason: str,
) -> None:
    """Take a reward back, or see to it that it will never be issued.

    An unused voucher is voided, a used one written off. One that a checkout holds is frozen, and
    its outcome stays open until that checkout ends.
    """
    reward = await store.find_reward(transaction.session, reward_id=reward_id)
    if reward is None:
        reward = Reward(
            reward_id=reward_id,
            referral_id=referral_id,
            member_id=beneficiary_id,
            state="refused",
            created_at=transaction.now,
        )
    if reward.state == "reversed":
        return
    outcome: Literal["voided", "written_off", "never_issued"] | None = "never_issued"
    if reward.voucher_id is not None:
        outcome = await _take_back(transaction, voucher_id=reward.voucher_id, reason=reason)
    reward.state, reward.outcome, reward.reason = "reversed", outcome, reason
    reward.reversed_at = transaction.now
    await store.save_reward(transaction.session, reward)
    if outcome is not None:
        reversed_ = RewardReversed(
            reward_id=reward_id,
            member_id=reward.member_id,
            voucher_id=reward.voucher_id,
            outcome=outcome,
        )
        transaction.record(reversed_, subject=reward.member_id)


async def close_frozen(transaction: Transaction, *, voucher: Voucher, used: bool) -> None:
    """Settle a reward that was taken back while a checkout held its voucher.

    The checkout has ended: the voucher was `used` after all, or is voided now. The caller holds
    the voucher's lock and marks a used one as redeemed.
    """
    reward = await store.find_reward(transaction.session, reward_id=voucher.source_id)
    assert reward is not None, "only vouchers of rewards are frozen"
    reward.outcome = "written_off" if used else "voided"
    await store.save_reward(transaction.session, reward)
    if not used:
        voucher.state, voucher.closed_at = "voided", transaction.now
        reason = voucher.reason or "reversed"
        transaction.record(_voided(voucher, reason=reason), subject=voucher.member_id)
    reversed_ = RewardReversed(
        reward_id=reward.reward_id,
        member_id=reward.member_id,
        voucher_id=voucher.id,
        outcome="written_off" if used else "voided",
    )
    transaction.record(reversed_, subject=reward.member_id)


async def _issue(
    transaction: Transaction, *, reward_id: str, member_id: str, worth: Worth, validity_days: int
) -> str:
    assert worth.amount_fen is not None
    session = transaction.session
    name = text(
        "voucher.reward_template_name",
        language=DEFAULT_LANGUAGE,
        facts={"yuan": yuan_text(worth.amount_fen)},
    )
    template_id = await template_store.reward_template_id(
        session,
        template_id=new_id("vtp", at=transaction.now),
        key=reward_key(
            amount_fen=worth.amount_fen,
            threshold_fen=worth.threshold_fen,
            validity_days=validity_days,
        ),
        worth=worth,
        days=validity_days,
        name=name,
        created_by=transaction.actor,
        now=transaction.now,
    )
    template = await template_store.take_stock(session, template_id=template_id, count=1)
    assert template is not None, "a template of rewards has no stock and is never closed"
    (voucher,) = await put_into_wallets(
        transaction,
        template=template,
        source_kind=REWARD_SOURCE,
        wallets=[(member_id, reward_id)],
    )
    return voucher.id


async def _take_back(
    transaction: Transaction, *, voucher_id: str, reason: str
) -> Literal["voided", "written_off", "never_issued"] | None:
    view = await voucher_store.find_voucher(transaction.session, voucher_id=voucher_id, lock=True)
    assert view is not None, "an issued reward has its voucher"
    voucher = view.voucher
    reversal = reverse(voucher_store.standing_of(voucher).state)
    if reversal.voucher_state != voucher.state:
        voucher.state, voucher.reason = reversal.voucher_state, reason
        voucher.closed_at = transaction.now if reversal.outcome == "voided" else None
        await voucher_store.save_voucher(transaction.session, voucher)
    if reversal.outcome == "voided":
        transaction.record(_voided(voucher, reason=reason), subject=voucher.member_id)
    return reversal.outcome


def _voided(voucher: Voucher, *, reason: str) -> VoucherVoided:
    return VoucherVoided(
        voucher_id=voucher.id,
        member_id=voucher.member_id,
        source_kind=voucher.source_kind,
        source_id=voucher.source_id,
        reason=reason,
    )
