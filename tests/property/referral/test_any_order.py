"""Whatever the order of the facts, and however often they come, the end is the same."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.referral.domain.programme import Programme, Trigger
from services.referral.domain.referrals import ReferralState
from tests.property.referral.circle import Circle, Completed, Enrolled, Fact, Paid, Refunded
from tests.unit.referral.domain.programmes import programme

MINIMUM_FEN = 5_000
ENROLMENT_REWARDS = [("enrolled", "referee"), ("enrolled", "referrer")]
ALL_REWARDS = [*ENROLMENT_REWARDS, ("first_order", "referrer")]
TRIGGERS: tuple[Trigger, ...] = ("first_order_paid", "first_order_completed")

#: A is returned in two parts, B in part only; B is received, and so is C, which is too small.
SEVEN: list[Fact] = [
    Enrolled(),
    Paid("A", 1, 29_900),
    Refunded("A-1", "A", 9_900),
    Refunded("A-2", "A", 20_000),
    Paid("B", 2, 15_000),
    Completed("B"),
    Refunded("B-1", "B", 1_000),
]


def rules(trigger: Trigger) -> Programme:
    return programme(trigger=trigger, minimum_order_fen=MINIMUM_FEN)


def ended(facts: list[Fact], *, trigger: Trigger, every: int = 1) -> Circle:
    """Hear facts one by one; loyalty answers after every so many of them, and at the end."""
    circle = Circle(programme=rules(trigger))
    for place, fact in enumerate(facts, start=1):
        circle.hear(fact)
        if place % every == 0:
            circle.settle()
    circle.settle()
    return circle


def outcome(circle: Circle) -> tuple[ReferralState, list[Any], list[Any]]:
    """The state, the rewards that count, and the vouchers that somebody keeps."""
    return circle.state, circle.live(), circle.loyalty.kept()


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_seven_facts_end_the_same_in_all_5040_orders(trigger: Trigger) -> None:
    orders = list(permutations(SEVEN))
    assert len(orders) == 5_040
    for facts in orders:
        circle = ended(list(facts), trigger=trigger)
        assert outcome(circle) == ("completed", ALL_REWARDS, ALL_REWARDS)
        assert all(times == 1 for times in circle.loyalty.asked.values())


def test_any_one_of_them_again_changes_nothing_in_any_of_the_orders() -> None:
    for facts in permutations(SEVEN):
        circle = ended(list(facts), trigger="first_order_paid", every=3)
        before = dict(circle.rewards)
        for again in SEVEN:
            circle.hear(again)
            assert not circle.questions
            assert (circle.state, circle.rewards) == ("completed", before)


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """A referee's life: up to four orders, each perhaps received and perhaps returned."""
    facts: list[Fact] = [Enrolled()]
    for order_id in "ABCD"[: draw(st.integers(0, 4))]:
        # Before the enrolment, rarely; below the minimum, sometimes.
        paid_fen = draw(st.sampled_from([29_900, MINIMUM_FEN, MINIMUM_FEN - 1, 0]))
        facts.append(Paid(order_id, draw(st.sampled_from([1, 2, 3, 3, 4, 5, 6, -1])), paid_fen))
        if draw(st.booleans()):
            facts.append(Completed(order_id))
        left_fen = paid_fen
        for number in range(draw(st.integers(0, 2))):
            amount_fen = draw(st.sampled_from(sorted({left_fen // 2, left_fen})))
            left_fen -= amount_fen
            facts.append(Refunded(f"{order_id}-{number}", order_id, amount_fen))
    return facts


def reached(facts: list[Fact], *, trigger: Trigger) -> ReferralState:
    """Told from the end, by the words of the law alone, without any of the service's rules."""
    orders = [fact for fact in facts if isinstance(fact, Paid)]
    if any(order.hours < 0 for order in orders):
        return "rejected"
    refunds = [fact for fact in facts if isinstance(fact, Refunded)]
    returned = {
        order.order_id: sum(one.amount_fen for one in refunds if one.order_id == order.order_id)
        for order in orders
    }
    enough = sorted((o.hours, o.order_id) for o in orders if o.paid_fen >= MINIMUM_FEN)
    paid = {order.order_id: order.paid_fen for order in orders}
    kept = [order_id for _, order_id in enough if returned[order_id] < paid[order_id]]
    if not kept:
        return "reversed" if enough else "enrolled"
    done = trigger == "first_order_paid" or Completed(kept[0]) in facts
    return "completed" if done else "qualified"


def rewarded(state: ReferralState) -> list[tuple[str, str]]:
    """The rewards that a state leaves, when loyalty has answered all."""
    if state == "rejected":
        return []
    return ALL_REWARDS if state == "completed" else ENROLMENT_REWARDS


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_history_in_any_order_with_any_repetition_ends_as_the_facts_say(
    data: st.DataObject,
) -> None:
    facts = data.draw(histories())
    trigger = data.draw(st.sampled_from(TRIGGERS))
    repeated = data.draw(st.lists(st.sampled_from(facts), max_size=6))
    told = data.draw(st.permutations([*facts, *repeated]))
    circle = ended(told, trigger=trigger, every=data.draw(st.integers(1, 5)))
    expected = reached(facts, trigger=trigger)
    assert outcome(circle) == (expected, rewarded(expected), rewarded(expected))
    assert circle.is_at_rest()


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_used_vouchers_never_add_up_to_more_than_one_for_a_stage_and_role(
    data: st.DataObject,
) -> None:
    facts = data.draw(histories())
    trigger = data.draw(st.sampled_from(TRIGGERS))
    circle = Circle(programme=rules(trigger))
    # As they happened, most of all: a voucher can only be used while its stage is reached.
    for fact in data.draw(st.one_of(st.just(facts), st.permutations(facts))):
        circle.hear(fact)
        assert circle.is_at_rest()
        for _ in range(data.draw(st.sampled_from([0, 1, 5]))):
            circle.answer_one()
        if data.draw(st.booleans()):
            circle.loyalty.use_all()
    circle.settle()
    expected = reached(facts, trigger=trigger)
    assert (circle.state, circle.live()) == (expected, rewarded(expected))
    kept = circle.loyalty.kept()
    assert len(set(kept)) == len(kept)
    assert set(circle.live()) <= set(kept)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_member_who_is_gone_is_asked_for_once_and_keeps_nobody_waiting(
    data: st.DataObject,
) -> None:
    facts = data.draw(histories())
    circle = Circle(programme=rules("first_order_paid"))
    circle.loyalty.gone = True
    for fact in data.draw(st.permutations(facts)):
        circle.hear(fact)
        circle.settle()
    assert circle.state == reached(facts, trigger="first_order_paid")
    assert (circle.live(), circle.loyalty.kept()) == ([], [])
    assert len({name[:2] for name in circle.loyalty.asked}) == len(circle.loyalty.asked)
