"""The decision about a referral: its state, its first order, and which rewards change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.referral.domain.decisions import Decision, decide
from services.referral.domain.orders import PaidOrder, Refund
from services.referral.domain.programme import Programme
from services.referral.domain.referrals import ReferralFacts
from services.referral.domain.rewards import Reward
from tests.unit.referral.domain.programmes import programme

ENROLLED = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
ORDER = PaidOrder(order_id="A", paid_fen=29_900, paid_at=ENROLLED + timedelta(hours=1))
REFUND = Refund(refund_id="A-r", order_id="A", amount_fen=29_900, in_full=True)

Change = tuple[str, str, int, str]


def facts(**different: Any) -> ReferralFacts:
    newcomer = ReferralFacts(
        enrolled_at=ENROLLED, refusal=None, referrer_capped=False, orders=(), refunds=()
    )
    return replace(newcomer, **different)


def decided(
    known: ReferralFacts, *rewards: Reward, by: Programme | None = None
) -> tuple[Decision, list[Change]]:
    decision = decide(known, programme=by or programme(), rewards=rewards)
    return decision, [(c.stage, c.role, c.generation, c.state) for c in decision.changes]


def issued(*changes: Reward) -> list[Reward]:
    return [replace(one, state="issued", voucher_id=f"vch_{place}")
            for place, one in enumerate(changes)]  # fmt: skip


def test_an_enrolment_rewards_both() -> None:
    decision, changes = decided(facts())
    assert (decision.state, decision.first_order_id) == ("enrolled", None)
    assert changes == [
        ("enrolled", "referrer", 1, "issuing"),
        ("enrolled", "referee", 1, "issuing"),
    ]


def test_a_first_order_rewards_the_referrer_alone() -> None:
    enrolment = issued(*decided(facts())[0].changes)
    decision, changes = decided(facts(orders=(ORDER,)), *enrolment)
    assert (decision.state, decision.first_order_id) == ("qualified", "A")
    assert changes == [("first_order", "referrer", 1, "issuing")]


def test_it_is_completed_when_all_vouchers_are_there() -> None:
    all_rewards = issued(*decided(facts(orders=(ORDER,)))[0].changes)
    decision, changes = decided(facts(orders=(ORDER,)), *all_rewards)
    assert (decision.state, changes) == ("completed", [])
    one_missing = [*all_rewards[:-1], replace(all_rewards[-1], state="issuing")]
    assert decided(facts(orders=(ORDER,)), *one_missing)[0].state == "qualified"


def test_a_refused_reward_does_not_keep_it_from_completion() -> None:
    *others, last = issued(*decided(facts(orders=(ORDER,)))[0].changes)
    refused = replace(last, state="reversed", outcome="refused", voucher_id=None)
    decision, changes = decided(facts(orders=(ORDER,)), *others, refused)
    assert (decision.state, changes) == ("completed", [])


def test_a_refund_in_full_takes_back_the_second_stage_alone() -> None:
    all_rewards = issued(*decided(facts(orders=(ORDER,)))[0].changes)
    decision, changes = decided(facts(orders=(ORDER,), refunds=(REFUND,)), *all_rewards)
    assert (decision.state, decision.first_order_id) == ("reversed", None)
    assert changes == [("first_order", "referrer", 1, "reversed")]
    assert decision.changes[0].reason == "first_order_refunded"


def test_an_existing_customer_costs_both_everything() -> None:
    all_rewards = issued(*decided(facts(orders=(ORDER,)))[0].changes)
    earlier = replace(ORDER, order_id="history", paid_at=ENROLLED - timedelta(days=400))
    decision, changes = decided(facts(orders=(ORDER, earlier)), *all_rewards)
    assert (decision.state, decision.refusal) == ("rejected", "existing_customer")
    assert [state for *_, state in changes] == ["reversed"] * 3
    assert {one.reason for one in decision.changes} == {"existing_customer"}


def test_a_rejected_newcomer_brings_nothing() -> None:
    decision, changes = decided(facts(refusal="self_referral", orders=(ORDER,)))
    assert (decision.state, decision.refusal, changes) == ("rejected", "self_referral", [])


def test_a_capped_referrer_gets_nothing_but_the_newcomer_does() -> None:
    capped = facts(referrer_capped=True, orders=(ORDER,))
    decision, changes = decided(capped)
    assert changes == [("enrolled", "referee", 1, "issuing")]
    assert decided(capped, *issued(*decision.changes))[0].state == "completed"


def test_a_paid_order_that_is_not_completed_any_more_the_first_takes_the_reward_back() -> None:
    by = programme(trigger="first_order_completed")
    done = replace(ORDER, completed_at=ORDER.paid_at + timedelta(days=3))
    all_rewards = issued(*decided(facts(orders=(done,)), by=by)[0].changes)
    earlier = replace(ORDER, order_id="B", paid_at=ENROLLED + timedelta(minutes=1))
    decision, changes = decided(facts(orders=(done, earlier)), *all_rewards, by=by)
    assert (decision.state, decision.first_order_id) == ("qualified", "B")
    assert changes == [("first_order", "referrer", 1, "reversed")]
    assert decision.changes[0].reason == "first_order_not_completed"


def test_deciding_again_about_what_was_decided_changes_nothing() -> None:
    for known in (facts(), facts(orders=(ORDER,)), facts(orders=(ORDER,), refunds=(REFUND,))):
        decision, _ = decided(known)
        assert decided(known, *decision.changes)[1] == []
