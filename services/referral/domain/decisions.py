"""The decision: from all that is known of a referral to what shall become of it.

Pure, and the core of this service: it depends on the facts, the programme and what loyalty has
said of each reward, never on the order in which they came or how often.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.referral.domain.programme import Programme, Promise, promises
from services.referral.domain.referrals import (
    Reason,
    ReferralFacts,
    ReferralState,
    Standing,
    stand,
    state_of,
)
from services.referral.domain.rewards import Reward, next_reward

REFUNDED: Final = "first_order_refunded"
NOT_COMPLETED: Final = "first_order_not_completed"
CAPPED: Final = "referrer_cap_reached"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What shall be: the referral's state, and the rewards that change."""

    state: ReferralState
    #: Why it was rejected.
    refusal: Reason | None
    first_order_id: str | None
    #: Each replaces the generation it names, or is a new one.
    changes: Sequence[Reward]


def decide(facts: ReferralFacts, *, programme: Programme, rewards: Sequence[Reward]) -> Decision:
    """Decide about a referral. Deciding again about what was decided changes nothing."""
    standing = stand(facts, programme)
    promised = [
        promise
        for promise in promises(programme)
        if not (facts.referrer_capped and promise.role == "referrer")
    ]
    changes: list[Reward] = []
    settled = True
    for promise in promised:
        history = _history(rewards, promise)
        change = next_reward(
            history,
            stage=promise.stage,
            role=promise.role,
            reached=promise.stage in standing.reached,
            reason=_reversal_reason(standing),
        )
        if change is not None:
            changes.append(change)
        last = change or (history[-1] if history else None)
        settled = settled and last is not None and last.is_settled
    all_reached = standing.reached == {stage.name for stage in programme.stages}
    return Decision(
        state=state_of(standing, all_granted=settled and all_reached),
        refusal=standing.refusal,
        first_order_id=standing.first_order.order_id if standing.first_order else None,
        changes=changes,
    )


def _history(rewards: Sequence[Reward], promise: Promise) -> Sequence[Reward]:
    own = [one for one in rewards if (one.stage, one.role) == (promise.stage, promise.role)]
    return sorted(own, key=lambda one: one.generation)


def _reversal_reason(standing: Standing) -> str:
    if standing.refusal is not None:
        return standing.refusal
    return REFUNDED if standing.first_order is None else NOT_COMPLETED
