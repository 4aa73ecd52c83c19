"""Orders and the closed form of a refund."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.loyalty.domain.orders import (
    Earning,
    Order,
    OrderFacts,
    OrderItem,
    as_first_told,
    earning,
    kept,
    returned_points,
)
from services.loyalty.domain.programme import InvalidProgramme
from services.loyalty.domain.refunds import (
    Refund,
    RefundExceedsPayment,
    RefundFacts,
    RefundItemExceeded,
    RefundItemUnknown,
    items_match,
    pieces_refunded,
    refuse_items,
)
from tests.unit.loyalty.domain.programmes import RULES, programme

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)

ORDER = Order(
    order_id="SO-1",
    member_id="mem_1",
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


def test_a_full_refund_leaves_nothing_of_what_was_earned() -> None:
    assert kept(ORDER) == Earning(points=239, growth=199)
    assert kept(replace(ORDER, refunded_fen=19_999)) == Earning(points=0, growth=0)


def test_a_cancelled_order_leaves_nothing_even_if_nothing_was_paid() -> None:
    gross = programme(points={**RULES["points"], "earn_on": "gross"})
    free = replace(ORDER, programme=gross, paid_fen=0, discount_fen=19_999)
    assert kept(free).points == 239
    assert kept(replace(free, cancelled_at=NOON)) == Earning(points=0, growth=0)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "paid"),
        ({"completed_at": NOON}, "completed"),
        ({"refunded_fen": 19_998, "completed_at": NOON}, "completed"),
        ({"refunded_fen": 19_999, "completed_at": NOON}, "refunded"),
        ({"refunded_fen": 19_999, "completed_at": NOON, "cancelled_at": NOON}, "cancelled"),
        ({"paid_fen": 0, "refunded_fen": 0}, "paid"),
    ],
)
def test_the_state_follows_from_the_facts_alone(facts: dict[str, Any], state: str) -> None:
    assert replace(ORDER, **facts).state == state


def test_points_on_gross_are_kept_in_proportion_to_the_cash_rounded_down() -> None:
    gross = programme(points={**RULES["points"], "earn_on": "gross"})
    order = replace(ORDER, programme=gross, multiplier_percent=100, discount_fen=10_000)
    assert earning(order, kept_fen=19_999) == Earning(points=299, growth=199)
    assert earning(order, kept_fen=10_000) == Earning(points=150, growth=100)
    assert earning(order, kept_fen=9_999).points == 29_999 * 9_999 // 19_999 // 100 == 149


def test_pending_until_payment_counts_the_hold_from_the_payment() -> None:
    rules = programme(points={**RULES["points"], "pending": "payment"})
    order = replace(ORDER, programme=rules)
    assert order.available_at == NOON + timedelta(days=7)
    assert replace(order, completed_at=NOON + timedelta(days=3)).available_at == order.available_at


@pytest.mark.parametrize("setting", [{"earn_on": "net"}, {"pending": "never"}, {"earn_on": 1}])
def test_a_setting_that_cannot_be_is_refused(setting: dict[str, object]) -> None:
    with pytest.raises(InvalidProgramme):
        programme(points={**RULES["points"], **setting})


def test_spent_points_return_in_proportion_and_all_when_nothing_is_kept() -> None:
    halves = [replace(ORDER, refunded_fen=fen) for fen in (0, 6_666, 13_332, 19_998, 19_999)]
    assert [returned_points(order, spent=10) for order in halves] == [0, 3, 6, 9, 10]
    free = replace(ORDER, paid_fen=0)
    assert returned_points(free, spent=10) == 0
    assert returned_points(replace(free, cancelled_at=NOON), spent=10) == 10


def test_what_is_kept_of_an_order_earns_under_its_own_rules() -> None:
    assert earning(ORDER, kept_fen=10_000) == Earning(points=120, growth=100)


def test_an_imported_order_earned_nothing_and_gives_nothing_back() -> None:
    imported = replace(ORDER, import_id="imp_1", earned_points=0, growth=0)
    assert kept(imported) == Earning(points=0, growth=0)


def test_an_imported_order_that_earned_gives_back_what_any_other_would() -> None:
    imported = replace(ORDER, import_id="imp_1")
    assert ORDER.earned_points > 0
    assert kept(replace(imported, refunded_fen=19_999)) == kept(replace(ORDER, refunded_fen=19_999))


def test_points_become_available_when_the_hold_after_completion_is_over() -> None:
    assert (ORDER.available_at, ORDER.expires_at) == (None, None)
    completed = replace(ORDER, completed_at=NOON)
    assert completed.available_at == NOON + timedelta(days=7)
    assert completed.expires_at is not None


def test_the_first_reply_is_told_as_it_was_then() -> None:
    now = replace(
        ORDER,
        refunded_fen=19_999,
        refunded_at_recording_fen=1000,
        clawed_back_points=239,
        completed_at=NOON,
    )
    first = as_first_told(now)
    assert (first.state, first.refunded_fen, first.completed_at) == ("paid", 1000, None)
    assert first.clawed_back_points == 239 - earning(ORDER, kept_fen=18_999).points
    early = as_first_told(replace(now, cancelled_at=NOON, came_completed=True, came_cancelled=True))
    assert (early.state, early.completed_at, early.clawed_back_points) == ("cancelled", NOON, 239)


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


def refund_of(*items: tuple[str, int], match: bool | None = None) -> Refund:
    facts = RefundFacts(
        refund_id="RF-1",
        order_id="SO-1",
        amount_fen=100,
        items=tuple(OrderItem(sku=sku, category=None, quantity=n, paid_fen=50) for sku, n in items),
        refunded_at=NOON,
    )
    return Refund(facts=facts, facts_hash=b"", member_id=None, recorded_at=NOON, items_match=match)


TWO_LINES = replace(
    ORDER,
    items=tuple(
        OrderItem(sku=sku, category=None, quantity=n, paid_fen=1)
        for sku, n in (("A", 1), ("B", 2), ("A", 1))
    ),
)


def test_lines_of_one_sku_count_as_one() -> None:
    refuse_items(TWO_LINES, facts=refund_of(("A", 2)).facts, refunds=[])
    with pytest.raises(RefundItemExceeded) as refused:
        refuse_items(TWO_LINES, facts=refund_of(("A", 2), ("A", 1)).facts, refunds=[])
    assert refused.value.facts == {"sku": "A", "asked": 3, "left": 2}


def test_pieces_that_went_back_cannot_go_back_again() -> None:
    before = [refund_of(("A", 1), match=True), refund_of(("B", 2), match=False)]
    assert pieces_refunded(before) == {"A": 1}
    refuse_items(TWO_LINES, facts=refund_of(("A", 1), ("B", 2)).facts, refunds=before)
    with pytest.raises(RefundItemExceeded):
        refuse_items(TWO_LINES, facts=refund_of(("A", 2)).facts, refunds=before)


def test_a_line_that_the_order_does_not_have_is_named() -> None:
    with pytest.raises(RefundItemUnknown) as refused:
        refuse_items(TWO_LINES, facts=refund_of(("C", 1)).facts, refunds=[])
    assert refused.value.facts == {"sku": "C"}
    assert items_match(TWO_LINES, facts=refund_of(("C", 1)).facts, refunds=[]) is False
    assert items_match(TWO_LINES, facts=refund_of(("B", 1)).facts, refunds=[]) is True
    assert items_match(TWO_LINES, facts=refund_of().facts, refunds=[]) is None
