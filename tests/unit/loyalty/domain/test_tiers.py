"""Tiers: up at once, down only by what a refund takes back, never below the period's floor."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.loyalty.domain.tiers import (
    Standing,
    after_growth,
    after_refund,
    first_standing,
    growth_needed,
    keep_needed,
)
from shared.kernel.clock import business_day_start
from tests.unit.loyalty.domain.programmes import programme

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
LATER = NOON + timedelta(days=40)
RULES = programme()


def grown(growth: int, standing: Standing | None = None) -> Standing:
    standing = standing or first_standing(RULES, now=NOON)
    return after_growth(standing, growth=growth, programme=RULES, now=LATER)


def refunded(standing: Standing, growth: int) -> Standing:
    return after_refund(standing, growth=growth, programme=RULES, now=LATER)


def test_a_newcomer_stands_in_the_lowest_tier_which_cannot_lapse() -> None:
    standing = first_standing(RULES, now=NOON)
    assert (standing.tier_code, standing.valid_until) == ("regular", None)
    assert growth_needed(standing, programme=RULES) == 1000
    assert keep_needed(standing, programme=RULES) == 0


def test_growth_that_reaches_a_tier_lifts_at_once_over_several_if_need_be() -> None:
    standing = grown(5000)
    assert (standing.tier_code, standing.since) == ("gold", LATER)
    last_day = (LATER + timedelta(days=365)).date()
    assert standing.valid_until == business_day_start(last_day + timedelta(days=1))
    assert growth_needed(standing, programme=RULES) == 15_000


def test_nothing_is_above_the_top() -> None:
    assert growth_needed(grown(20_000), programme=RULES) is None


def test_growth_that_leaves_the_window_lowers_no_tier() -> None:
    standing = grown(300, grown(1000))
    assert (standing.tier_code, standing.growth) == ("silver", 300)
    assert keep_needed(standing, programme=RULES) == 700


def test_a_refund_undoes_the_tier_it_made() -> None:
    standing = refunded(grown(1000), 999)
    assert (standing.tier_code, standing.valid_until) == ("regular", None)


def test_a_refund_lowers_to_the_tier_that_the_rest_reaches() -> None:
    gold = grown(5000, grown(1000))
    standing = refunded(gold, 1500)
    assert standing.tier_code == "silver"
    assert standing.valid_until == gold.valid_until


def test_a_refund_does_not_push_below_the_floor_of_the_period() -> None:
    standing = replace(grown(5000), floor_code="silver")
    assert refunded(standing, 0).tier_code == "silver"


def test_a_refund_leaves_a_tier_that_time_alone_had_ceased_to_support() -> None:
    kept = grown(800, grown(1000))
    assert refunded(kept, 700).tier_code == "silver"


def test_a_refund_that_takes_too_little_changes_no_tier() -> None:
    assert refunded(grown(1500), 1000) == replace(grown(1500), growth=1000)
