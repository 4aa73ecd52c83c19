"""Orders and the closed form of a refund."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.loyalty.domain.orders import (
    Earning,
    Order,
    OrderFacts,
    OrderItem,
    RefundExceedsPayment,
    RefundFacts,
    as_first_told,
    clawback,
    earning,
)
from tests.unit.loyalty.domain.programmes import programme

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)

ORDER = Order(
    order_id="SO-1",
    member_id="mem_1",
    state="paid",
    paid_fen=19_999,
    discount_fen=0,
    refunded_fen=0,
    facts_hash=b"",
    programme=programme(),
    multiplier_percent=120,
    earned_points=239,
    clawed_back_points=0,
    growth=199,
    tier_at_recording="silver",
    refunded_at_recording_fen=0,
    import_id=None,
    paid_at=NOON,
    completed_at=None,
    recorded_at=NOON,
)
FACTS = OrderFacts(
    order_id="SO-1",
    member_id="mem_1",
    paid_fen=19_999,
    discount_fen=0,
    items=(OrderItem(sku="A", category=None, quantity=1, paid_fen=19_999),),
    channel=None,
    reservation_id=None,
    device_id=None,
    payer_hash=None,
    paid_at=NOON,
)


def test_a_full_refund_takes_back_all_that_was_earned() -> None:
    assert clawback(ORDER, amount_fen=19_999) == Earning(points=239, growth=199)


def test_two_refunds_take_back_what_their_sum_would() -> None:
    first = clawback(ORDER, amount_fen=50)
    rest = clawback(replace(ORDER, refunded_fen=50), amount_fen=950)
    together = clawback(ORDER, amount_fen=1000)
    assert (first.points + rest.points, first.growth + rest.growth) == (
        together.points, together.growth,
    )  # fmt: skip


def test_what_is_kept_of_an_order_earns_under_its_own_rules() -> None:
    assert earning(ORDER, kept_fen=10_000) == Earning(points=120, growth=100)


def test_an_imported_order_earned_nothing_and_gives_nothing_back() -> None:
    imported = replace(ORDER, import_id="imp_1", earned_points=0, growth=0)
    assert clawback(imported, amount_fen=19_999) == Earning(points=0, growth=0)


def test_an_imported_order_that_earned_gives_back_what_any_other_would() -> None:
    imported = replace(ORDER, import_id="imp_1")
    assert ORDER.earned_points > 0
    assert clawback(imported, amount_fen=19_999) == clawback(ORDER, amount_fen=19_999)


def test_points_become_available_when_the_hold_after_completion_is_over() -> None:
    assert (ORDER.available_at, ORDER.expires_at) == (None, None)
    completed = replace(ORDER, completed_at=NOON)
    assert completed.available_at == NOON + timedelta(days=7)
    assert completed.expires_at is not None


def test_the_first_reply_is_told_as_it_was_then() -> None:
    now = replace(
        ORDER,
        state="refunded",
        refunded_fen=19_999,
        refunded_at_recording_fen=1000,
        clawed_back_points=239,
        completed_at=NOON,
    )
    first = as_first_told(now)
    assert (first.state, first.refunded_fen, first.completed_at) == ("paid", 1000, None)
    assert first.clawed_back_points == 239 - earning(ORDER, kept_fen=18_999).points


@pytest.mark.parametrize(
    "change",
    [
        {"member_id": "mem_2"},
        {"paid_fen": 1},
        {"discount_fen": 1},
        {"items": ()},
        {"channel": "app"},
        {"reservation_id": "rsv_1"},
        {"device_id": "d"},
        {"payer_hash": "p"},
        {"paid_at": NOON + timedelta(microseconds=1)},
    ],
)
def test_any_other_fact_makes_it_another_report(change: dict[str, object]) -> None:
    assert replace(FACTS, **change).hash() != FACTS.hash()  # type: ignore[arg-type]


def test_an_absent_channel_is_not_an_empty_device() -> None:
    assert replace(FACTS, channel="x").hash() != replace(FACTS, device_id="x").hash()


def test_a_refund_without_items_is_not_one_with_none() -> None:
    refund = RefundFacts(
        refund_id="RF-1", order_id="SO-1", amount_fen=1, items=None, refunded_at=NOON
    )
    assert replace(refund, items=()).hash() != refund.hash()


def test_a_refund_beyond_the_payment_says_what_can_still_go_back() -> None:
    refused = RefundExceedsPayment(refundable_fen=1250)
    assert refused.facts == {"refundable_fen": 1250, "refundable_yuan": "12.50"}
