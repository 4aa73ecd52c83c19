"""A reward is granted once; lost, it is taken back; regained, it is a new one, never a second."""

from dataclasses import replace
from typing import Any

import pytest

from services.referral.domain.rewards import (
    Outcome,
    ReversalUnasked,
    Reward,
    next_reward,
    with_outcome,
    with_refusal,
    with_voucher,
)

REFUNDED = "first_order_refunded"


def reward(generation: int = 1, **different: Any) -> Reward:
    issuing = Reward(stage="first_order", role="referrer", generation=generation, state="issuing")
    return replace(issuing, **different)


def issued(generation: int = 1) -> Reward:
    return reward(generation, state="issued", voucher_id=f"vch_{generation}")


def taken_back(outcome: Outcome | None, generation: int = 1) -> Reward:
    return replace(issued(generation), state="reversed", outcome=outcome, reason=REFUNDED)


def after(*history: Reward, reached: bool) -> Reward | None:
    return next_reward(
        history, stage="first_order", role="referrer", reached=reached, reason=REFUNDED
    )


def test_a_stage_that_is_reached_asks_for_its_reward() -> None:
    assert after(reached=True) == reward()


def test_a_stage_that_is_not_reached_brings_nothing() -> None:
    assert after(reached=False) is None


@pytest.mark.parametrize("live", [reward(), issued()])
def test_a_reward_that_is_asked_for_or_issued_is_not_asked_for_again(live: Reward) -> None:
    assert after(live, reached=True) is None


@pytest.mark.parametrize("live", [reward(), issued()])
def test_a_lost_stage_takes_its_reward_back_and_awaits_what_became_of_it(live: Reward) -> None:
    expected = replace(live, state="reversed", outcome=None, reason=REFUNDED)
    assert after(live, reached=False) == expected


@pytest.mark.parametrize("outcome", [None, "voided", "written_off", "never_issued", "refused"])
def test_what_was_taken_back_is_not_taken_back_again(outcome: Outcome | None) -> None:
    assert after(taken_back(outcome), reached=False) is None


@pytest.mark.parametrize("outcome", ["voided", "never_issued"])
def test_a_stage_regained_is_rewarded_anew_when_nothing_is_left_of_the_old_one(
    outcome: Outcome,
) -> None:
    assert after(taken_back(outcome), reached=True) == reward(2)


def test_a_stage_regained_waits_while_it_is_unknown_what_is_left_of_the_old_one() -> None:
    pending = reward(2, state="pending")
    assert after(taken_back(None), reached=True) == pending
    assert after(taken_back(None), pending, reached=True) is None
    assert after(taken_back("voided"), pending, reached=True) == reward(2)


def test_a_used_voucher_stands_for_the_new_reward_and_no_other_is_issued() -> None:
    stands = reward(2, state="issued", voucher_id="vch_1")
    assert after(taken_back("written_off"), reached=True) == stands
    pending = reward(2, state="pending")
    assert after(taken_back("written_off"), pending, reached=True) == stands


def test_a_used_voucher_that_stands_in_needs_no_answer_to_be_taken_back() -> None:
    used, stands = taken_back("written_off"), reward(2, state="issued", voucher_id="vch_1")
    lost = after(used, stands, reached=False)
    assert lost == replace(stands, state="reversed", outcome="written_off", reason=REFUNDED)
    again = after(used, lost, reached=True)
    assert again == reward(3, state="issued", voucher_id="vch_1")


def test_a_reward_that_was_never_asked_for_is_dropped_without_asking() -> None:
    pending = reward(2, state="pending")
    dropped = after(taken_back(None), pending, reached=False)
    assert dropped == replace(pending, state="reversed", outcome="never_issued", reason=REFUNDED)


def test_what_loyalty_refused_for_good_is_not_asked_for_again() -> None:
    assert after(taken_back("refused"), reached=True) is None
    refused_late = after(taken_back("refused"), reward(2, state="pending"), reached=True)
    assert refused_late is not None
    assert (refused_late.state, refused_late.outcome) == ("reversed", "refused")


def test_a_voucher_that_comes_makes_it_issued_unless_it_was_taken_back_meanwhile() -> None:
    assert with_voucher(reward(), voucher_id="vch_1") == issued()
    reversed_ = reward(state="reversed", reason=REFUNDED)
    assert with_voucher(reversed_, voucher_id="vch_1") == replace(reversed_, voucher_id="vch_1")


def test_a_refusal_ends_a_reward() -> None:
    refused = with_refusal(reward(), reason="member_unknown")
    assert refused == reward(state="reversed", outcome="refused", reason="member_unknown")
    assert refused.is_settled
    assert not refused.is_live


def test_the_first_answer_about_a_reversal_stays() -> None:
    voided = with_outcome(taken_back(None), outcome="voided", voucher_id="vch_1")
    assert voided == taken_back("voided")
    assert with_outcome(voided, outcome="written_off", voucher_id=None) == voided


def test_a_reversal_that_nobody_asked_for_is_a_matter_for_a_person() -> None:
    with pytest.raises(ReversalUnasked):
        with_outcome(issued(), outcome="voided", voucher_id="vch_1")
