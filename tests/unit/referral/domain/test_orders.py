"""The first order: the earliest that was paid, meets the minimum and was not refunded in full."""

from datetime import UTC, datetime, timedelta

from services.referral.domain.orders import (
    PaidOrder,
    Refund,
    first_order,
    is_before,
    qualifying_orders,
    refunded_in_full,
)

ENROLLED = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def order(order_id: str, *, hours: float = 1, paid_fen: int = 10_000) -> PaidOrder:
    return PaidOrder(
        order_id=order_id, paid_fen=paid_fen, paid_at=ENROLLED + timedelta(hours=hours)
    )


def refund(order_id: str, amount_fen: int, *, number: int = 1, in_full: bool = False) -> Refund:
    refund_id = f"{order_id}-r{number}"
    return Refund(refund_id=refund_id, order_id=order_id, amount_fen=amount_fen, in_full=in_full)


def first(orders: list[PaidOrder], *refunds: Refund, minimum_fen: int = 0) -> str | None:
    qualifying = qualifying_orders(orders, minimum_fen=minimum_fen, since=ENROLLED)
    found = first_order(qualifying, refunds)
    return found.order_id if found else None


def test_the_earliest_by_payment_is_the_first_whatever_came_first_here() -> None:
    assert first([order("B", hours=2), order("A", hours=3), order("C", hours=1)]) == "C"


def test_orders_paid_at_the_same_moment_are_told_apart_by_their_ids() -> None:
    assert first([order("B"), order("A")]) == first([order("A"), order("B")]) == "A"


def test_an_order_below_the_minimum_is_passed_over() -> None:
    orders = [order("A", paid_fen=4_999), order("B", hours=2, paid_fen=5_000)]
    assert first(orders, minimum_fen=5_000) == "B"


def test_an_order_that_cost_nothing_is_never_a_first_order() -> None:
    assert first([order("A", paid_fen=0)]) is None


def test_when_the_first_is_refunded_in_full_the_next_takes_its_place() -> None:
    orders = [order("A"), order("B", hours=2)]
    assert first(orders, refund("A", 10_000, in_full=True)) == "B"
    both = [refund("A", 10_000, in_full=True), refund("B", 10_000, in_full=True)]
    assert first(orders, *both) is None


def test_a_refund_in_part_leaves_the_first_order_what_it_is() -> None:
    assert first([order("A"), order("B", hours=2)], refund("A", 9_999)) == "A"


def test_refunds_in_parts_that_sum_to_all_are_a_refund_in_full() -> None:
    parts = [refund("A", 4_000), refund("A", 6_000, number=2)]
    assert not refunded_in_full(order("A"), parts[:1])
    assert refunded_in_full(order("A"), parts)


def test_refunds_of_other_orders_do_not_matter() -> None:
    assert not refunded_in_full(order("A"), [refund("B", 10_000, in_full=True)])


def test_an_order_of_the_second_of_the_enrolment_is_not_before_it() -> None:
    enrolled_at = ENROLLED.replace(microsecond=900_000)
    assert not is_before(ENROLLED, enrolled_at)
    assert is_before(ENROLLED - timedelta(microseconds=1), enrolled_at)
