"""The measures of one member as of a business day."""

from datetime import date, timedelta

import pytest

from services.segmentation.domain.rfm import (
    PROSPECT,
    Measures,
    OrderFact,
    RefundFact,
    State,
    measure,
)

SINGLES_DAY = date(2026, 11, 11)
TODAY = date(2026, 11, 23)


def order(
    order_id: str,
    *,
    paid_day: date = SINGLES_DAY,
    paid_fen: int = 19_900,
    refunds: tuple[RefundFact, ...] = (),
    cancelled_day: date | None = None,
) -> OrderFact:
    return OrderFact(
        order_id=order_id,
        paid_day=paid_day,
        paid_fen=paid_fen,
        refunds=refunds,
        cancelled_day=cancelled_day,
    )


def days_before(days: int) -> date:
    return TODAY - timedelta(days=days)


def test_a_member_who_never_ordered_is_a_prospect_without_measures() -> None:
    assert measure(orders=[], as_of=TODAY) == PROSPECT
    assert PROSPECT.state is State.prospect


def test_recency_counts_from_the_last_order_and_frequency_and_money_add_up() -> None:
    orders = [
        order("A1", paid_day=days_before(40), paid_fen=10_000),
        order("A3", paid_day=days_before(12), paid_fen=29_900),
        order("A2", paid_day=days_before(30), paid_fen=1),
    ]
    assert measure(orders=orders, as_of=TODAY) == Measures(12, 3, 39_901)


def test_an_order_of_the_day_itself_has_recency_zero() -> None:
    assert measure(orders=[order("A1", paid_day=TODAY)], as_of=TODAY).recency_days == 0


def test_an_order_of_a_later_day_does_not_count_yet() -> None:
    tomorrow = order("A1", paid_day=TODAY + timedelta(days=1))
    assert measure(orders=[tomorrow], as_of=TODAY) == PROSPECT


def test_the_window_holds_its_last_day_and_not_the_day_before_it() -> None:
    inside = measure(orders=[order("A1", paid_day=days_before(364))], as_of=TODAY)
    outside = measure(orders=[order("A1", paid_day=days_before(365))], as_of=TODAY)
    assert (inside.state, inside.frequency) == (State.active, 1)
    assert (outside.state, outside.frequency, outside.monetary_fen) == (State.lapsed, 0, 0)


def test_a_lapsed_member_keeps_the_days_since_its_last_order() -> None:
    assert measure(orders=[order("A1", paid_day=days_before(400))], as_of=TODAY).recency_days == 400


def test_an_order_before_the_window_adds_nothing_to_an_active_member() -> None:
    orders = [order("A1", paid_day=days_before(400)), order("A2", paid_day=days_before(5))]
    assert measure(orders=orders, as_of=TODAY) == Measures(5, 1, 19_900)


def test_a_partial_refund_lowers_only_the_money() -> None:
    refunds = (RefundFact(TODAY, 5_000), RefundFact(days_before(3), 900))
    assert measure(orders=[order("A1", refunds=refunds)], as_of=TODAY) == Measures(12, 1, 14_000)


def test_an_order_refunded_in_full_counts_nowhere() -> None:
    kept = order("A1", paid_day=days_before(50), paid_fen=8_800)
    returned = order("A2", refunds=(RefundFact(TODAY, 10_000), RefundFact(TODAY, 9_900)))
    assert measure(orders=[kept, returned], as_of=TODAY) == Measures(50, 1, 8_800)


def test_a_member_whose_only_order_was_refunded_in_full_is_a_prospect_again() -> None:
    returned = order("A1", refunds=(RefundFact(TODAY, 19_900),))
    assert measure(orders=[returned], as_of=TODAY) == PROSPECT


def test_a_past_day_knows_only_the_refunds_up_to_that_day() -> None:
    returned = order("A1", refunds=(RefundFact(days_before(2), 19_900),))
    assert measure(orders=[returned], as_of=days_before(3)) == Measures(9, 1, 19_900)
    assert measure(orders=[returned], as_of=days_before(2)) == PROSPECT


def test_a_refund_of_an_order_outside_the_window_takes_nothing_from_those_inside() -> None:
    old = order("A1", paid_day=days_before(370), refunds=(RefundFact(TODAY, 9_900),))
    assert measure(orders=[old, order("A2")], as_of=TODAY) == Measures(12, 1, 19_900)


def test_a_refund_dated_before_its_order_counts() -> None:
    early = order("A1", refunds=(RefundFact(SINGLES_DAY - timedelta(days=1), 900),))
    assert measure(orders=[early], as_of=TODAY).monetary_fen == 19_000


def test_an_order_paid_with_points_alone_is_not_a_valid_order() -> None:
    assert measure(orders=[order("A1", paid_fen=0)], as_of=TODAY) == PROSPECT


def test_a_cancelled_order_counts_until_the_day_before_it_was_cancelled() -> None:
    cancelled = order("A1", cancelled_day=days_before(4))
    assert measure(orders=[cancelled], as_of=days_before(5)).state is State.active
    assert measure(orders=[cancelled], as_of=days_before(4)) == PROSPECT


def test_orders_of_one_day_count_once_when_days_are_counted() -> None:
    orders = [order("A1"), order("A2"), order("A3", paid_day=TODAY)]
    assert measure(orders=orders, as_of=TODAY).frequency == 3
    assert measure(orders=orders, as_of=TODAY, count_days=True) == Measures(0, 2, 59_700)


@pytest.mark.parametrize("window_days", [29, 1096, 0, -365])
def test_a_window_outside_30_to_1095_days_is_refused(window_days: int) -> None:
    with pytest.raises(ValueError, match="30 to 1095"):
        measure(orders=[order("A1")], as_of=TODAY, window_days=window_days)


def test_a_window_of_30_days_forgets_the_thirtieth_day_before() -> None:
    assert (
        measure(orders=[order("A1", paid_day=days_before(29))], as_of=TODAY, window_days=30).state
        is State.active
    )
    assert (
        measure(orders=[order("A1", paid_day=days_before(30))], as_of=TODAY, window_days=30).state
        is State.lapsed
    )
