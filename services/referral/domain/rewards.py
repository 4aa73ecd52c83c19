"""Rewards: what a stage brings to one of the two, once; and taken back when the stage is lost.

A stage may be lost and reached again: the first order is refunded in full, later another order
takes its place. Its reward is then granted again as a new *generation*, a reward of its own; the
reversed one stays as it is, since its voucher is void and loyalty never issues a reward twice.
At no time is more than one generation of a (referral, stage, role) live, and what the beneficiary
keeps never exceeds one reward:

- a new generation is `pending` until loyalty has said what became of the one before;
- if that one's voucher had been used, and so was written off, the used voucher stands for the new
  generation, and no other is issued.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from services.referral.domain.programme import Role, StageName

#: pending: due, not asked for yet. issuing: loyalty was asked for the voucher. issued: it is in
#: the wallet. reversed: taken back, or never given.
RewardState = Literal["pending", "issuing", "issued", "reversed"]
#: What became of a reversed reward; None while loyalty has not answered.
Outcome = Literal["voided", "written_off", "never_issued", "refused"]
#: What became of a reward's voucher.
VoucherState = Literal["issued", "redeemed", "voided"]


class ReversalUnasked(Exception):
    """Loyalty took back a reward that counts here: the two disagree, and a person has to look."""


@dataclass(frozen=True, kw_only=True)
class Reward:
    """One generation of the reward of a stage for a role."""

    stage: StageName
    role: Role
    generation: int
    state: RewardState
    outcome: Outcome | None = None
    voucher_id: str | None = None
    reason: str | None = None

    @property
    def is_live(self) -> bool:
        """Whether it counts: it is not reversed."""
        return self.state != "reversed"

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is awaited from loyalty: issued, or refused for good."""
        return self.state == "issued" or self.outcome == "refused"


def next_reward(
    history: Sequence[Reward], *, stage: StageName, role: Role, reached: bool, reason: str
) -> Reward | None:
    """How a (stage, role) changes, by whether its stage is reached; None when it stays.

    `history` are its generations, oldest first. What comes back replaces the last one, or follows
    it as a new generation. Loyalty is to be asked for the voucher when it becomes `issuing`, and
    to take it back when it becomes `reversed` without an outcome.
    """
    last = history[-1] if history else None
    if last is None or not last.is_live:
        return _granted(history, stage=stage, role=role) if reached else None
    if not reached:
        return _taken_back(last, earlier=history[:-1], reason=reason)
    if last.state != "pending":
        return None
    granted = _granted(history[:-1], stage=stage, role=role)
    if granted is None:
        return replace(last, state="reversed", outcome="refused", reason=reason)
    return granted if granted.state != "pending" else None


def _granted(earlier: Sequence[Reward], *, stage: StageName, role: Role) -> Reward | None:
    """The generation after the earlier ones; None when loyalty has refused for good."""
    outcomes = {reward.outcome for reward in earlier}
    if "refused" in outcomes:
        return None
    state: RewardState = "issuing"
    used = next((reward for reward in earlier if reward.outcome == "written_off"), None)
    if None in outcomes:
        state = "pending"
    elif used is not None:
        state = "issued"
    return Reward(
        stage=stage,
        role=role,
        generation=len(earlier) + 1,
        state=state,
        voucher_id=used.voucher_id if used is not None and state == "issued" else None,
    )


def _taken_back(last: Reward, *, earlier: Sequence[Reward], reason: str) -> Reward:
    outcome: Outcome | None = None
    if last.state == "pending":
        outcome = "never_issued"
    elif any(reward.outcome == "written_off" for reward in earlier):
        # Its voucher is the used one of an earlier generation, which loyalty has written off.
        outcome = "written_off"
    return replace(last, state="reversed", outcome=outcome, reason=reason)


def with_voucher(reward: Reward, *, voucher_id: str) -> Reward:
    """Loyalty has put the voucher into the wallet. One that was reversed meanwhile stays so."""
    state: RewardState = "issued" if reward.state == "issuing" else reward.state
    return replace(reward, state=state, voucher_id=reward.voucher_id or voucher_id)


def with_refusal(reward: Reward, *, reason: str) -> Reward:
    """Loyalty will never issue it. That it was also taken back does not matter any more."""
    return replace(reward, state="reversed", outcome="refused", reason=reason)


def with_outcome(reward: Reward, *, outcome: Outcome, voucher_id: str | None) -> Reward:
    """Loyalty has taken it back. What was heard first stays. Raises ReversalUnasked."""
    if reward.is_live:
        raise ReversalUnasked
    return replace(
        reward, outcome=reward.outcome or outcome, voucher_id=reward.voucher_id or voucher_id
    )
