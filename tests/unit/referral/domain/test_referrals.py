"""To whom a newcomer is attributed, and how far a referral has come."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from services.referral.domain.orders import PaidOrder, Refund
from services.referral.domain.programme import Caps, Programme
from services.referral.domain.referrals import (
    MOVES,
    Attribution,
    Brought,
    IllegalMove,
    ReferralFacts,
    ReferralState,
    Standing,
    attribute,
    refuse_illegal_move,
    stand,
    state_of,
)
from tests.unit.referral.domain.programmes import programme

ENROLLED = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def attributed(**different: Any) -> Attribution:
    given: dict[str, Any] = {
        "referee_id": "mem_bo",
        "owner_id": "mem_ya",
        "upline": (),
        "running": True,
        "previously_erased": False,
        "brought": Brought(that_day=0, that_month=0),
        "caps": Caps(),
    }
    return attribute(**{**given, **different})


def order(order_id: str, *, hours: float = 1, completed: bool = False) -> PaidOrder:
    paid_at = ENROLLED + timedelta(hours=hours)
    return PaidOrder(
        order_id=order_id,
        paid_fen=10_000,
        paid_at=paid_at,
        completed_at=paid_at + timedelta(days=3) if completed else None,
    )


def refund(order_id: str) -> Refund:
    return Refund(refund_id=f"{order_id}-r", order_id=order_id, amount_fen=10_000, in_full=True)


def standing(
    *orders: PaidOrder, refunds: tuple[Refund, ...] = (), by: Programme | None = None
) -> Standing:
    facts = ReferralFacts(
        enrolled_at=ENROLLED,
        refusal=None,
        referrer_capped=False,
        orders=orders,
        refunds=refunds,
    )
    return stand(facts, by or programme())


def test_a_newcomer_belongs_to_the_owner_of_the_code() -> None:
    expected = Attribution(referrer_id="mem_ya", refusal=None, referrer_capped=False)
    assert attributed() == expected


def test_a_code_that_nobody_has_brings_no_referral() -> None:
    assert attributed(owner_id=None).refusal == "unknown_code"


def test_nobody_brings_themselves() -> None:
    assert attributed(owner_id="mem_bo").refusal == "self_referral"


def test_who_was_brought_by_somebody_does_not_bring_them_over_any_number_of_links() -> None:
    assert attributed(upline=("mem_bo",)).refusal == "loop"
    assert attributed(upline=("mem_li", "mem_bo")).refusal == "loop"
    assert attributed(upline=("mem_li",)).refusal is None


def test_outside_its_dates_the_programme_takes_nobody_in() -> None:
    assert attributed(running=False).refusal == "programme_not_running"


@pytest.mark.parametrize(
    ("caps", "capped"),
    [
        (Caps(), False),
        (Caps(per_day=3), False),
        (Caps(per_day=2), True),
        (Caps(per_month=8), False),
        (Caps(per_month=7), True),
        (Caps(per_day=9, per_month=7), True),
    ],
)
def test_a_referrer_at_a_cap_gets_nothing_for_the_next_newcomer(caps: Caps, capped: bool) -> None:
    found = attributed(brought=Brought(that_day=2, that_month=7), caps=caps)
    assert found == Attribution(referrer_id="mem_ya", refusal=None, referrer_capped=capped)


def test_one_order_before_the_enrolment_makes_an_existing_customer_even_if_refunded() -> None:
    found = standing(order("A", hours=-1), order("B"), refunds=(refund("A"),))
    assert (found.refusal, found.reached, found.first_order) == (
        "existing_customer",
        frozenset(),
        None,
    )


def test_the_enrolment_alone_reaches_its_stage() -> None:
    found = standing()
    assert found.reached == {"enrolled"}
    assert found.first_order is None
    assert not found.order_lost


def test_a_paid_order_reaches_the_second_stage_by_default() -> None:
    assert standing(order("A")).reached == {"enrolled", "first_order"}


def test_where_it_must_be_completed_a_paid_order_does_not_suffice() -> None:
    by = programme(trigger="first_order_completed")
    assert standing(order("A"), by=by).reached == {"enrolled"}
    assert standing(order("A", completed=True), by=by).reached == {"enrolled", "first_order"}


def test_only_the_first_orders_completion_counts() -> None:
    by = programme(trigger="first_order_completed")
    found = standing(order("A"), order("B", hours=2, completed=True), by=by)
    assert found.reached == {"enrolled"}


def test_a_first_order_refunded_in_full_is_lost_until_another_takes_its_place() -> None:
    lost = standing(order("A"), refunds=(refund("A"),))
    assert lost.order_lost
    assert lost.reached == {"enrolled"}
    found = standing(order("A"), order("B", hours=2), refunds=(refund("A"),))
    assert found.first_order is not None
    assert (found.order_lost, found.first_order.order_id) == (False, "B")


def test_a_programme_without_the_second_stage_looks_at_no_order() -> None:
    found = standing(order("A"), by=programme(stages=programme().stages[:1]))
    assert found.reached == {"enrolled"}
    assert found.first_order is None
    assert not found.order_lost


def test_states_by_how_far_it_has_come() -> None:
    lost = standing(order("A"), refunds=(refund("A"),))
    assert state_of(standing(), all_granted=False) == "enrolled"
    assert state_of(standing(order("A")), all_granted=False) == "qualified"
    assert state_of(standing(order("A")), all_granted=True) == "completed"
    assert state_of(lost, all_granted=False) == "reversed"
    assert state_of(standing(order("A", hours=-1)), all_granted=False) == "rejected"


def test_what_was_rejected_stays_so_and_nothing_goes_back_to_the_beginning() -> None:
    for state in get_args(ReferralState):
        if state != "rejected":
            with pytest.raises(IllegalMove):
                refuse_illegal_move("rejected", state)
        assert "attributed" not in MOVES[state]
    begun: tuple[ReferralState, ...] = ("qualified", "completed", "reversed")
    for state in begun:
        with pytest.raises(IllegalMove):
            refuse_illegal_move(state, "enrolled")
    refuse_illegal_move("reversed", "qualified")
