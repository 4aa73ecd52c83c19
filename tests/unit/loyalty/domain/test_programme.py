"""The rules of the programme: rates, expiry, windows, and rules that cannot be."""

import copy
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.loyalty.domain.programme import (
    Expiry,
    InvalidProgramme,
    add_months,
    earned_growth,
    earned_points,
    expires_at,
    growth_window_start,
    read_programme,
    tier_period_end,
)
from shared.kernel.clock import BUSINESS_ZONE
from tests.unit.loyalty.domain.programmes import RULES, programme


def shanghai(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=BUSINESS_ZONE).astimezone(UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("paid_fen", "multiplier_percent", "points"),
    [
        (0, 100, 0),
        (99, 100, 0),
        (100, 100, 1),
        (19_999, 100, 199),
        (19_999, 120, 239),  # 239.988: rounded down once, not 199 × 1.2
        (19_999, 150, 299),
        (50, 200, 1),
        (10_000_000_000, 200, 200_000_000),
    ],
)
def test_points_are_rounded_down_once_per_order(
    paid_fen: int, multiplier_percent: int, points: int
) -> None:
    assert points == earned_points(
        paid_fen=paid_fen, points_per_yuan=1, multiplier_percent=multiplier_percent
    )


def test_growth_is_one_for_each_whole_yuan_whatever_the_tier() -> None:
    assert earned_growth(paid_fen=19_999, growth_per_yuan=1) == 199


def test_rolling_points_last_to_the_end_of_the_month_a_year_later() -> None:
    rolling = Expiry(policy="rolling", months=12)
    lapses = expires_at(rolling, available_at=shanghai(2026, 11, 23, 9))
    assert lapses == shanghai(2027, 12, 1)


def test_rolling_points_of_a_leap_day_last_to_the_end_of_february() -> None:
    rolling = Expiry(policy="rolling", months=12)
    assert expires_at(rolling, available_at=shanghai(2028, 2, 29)) == shanghai(2029, 3, 1)


def test_validity_counts_from_the_day_in_shanghai_not_in_utc() -> None:
    rolling = Expiry(policy="rolling", months=1)
    last_evening_utc = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)
    assert expires_at(rolling, available_at=last_evening_utc) == shanghai(2027, 2, 1)


def test_fixed_points_last_through_31_december_of_the_following_year() -> None:
    lapses = expires_at(Expiry(policy="fixed"), available_at=shanghai(2026, 1, 1))
    assert lapses == shanghai(2028, 1, 1)


def test_points_that_never_lapse_have_no_such_moment() -> None:
    assert expires_at(Expiry(policy="never"), available_at=shanghai(2026, 1, 1)) is None


@pytest.mark.parametrize(
    ("day", "months", "result"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 2, 29), -12, date(2027, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 1, 15), -1, date(2025, 12, 15)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_months_last(
    day: date, months: int, result: date
) -> None:
    assert add_months(day, months) == result


def test_growth_counts_from_the_same_business_day_a_year_before() -> None:
    now = shanghai(2026, 11, 23, 15, 30)
    assert growth_window_start(programme(), now=now) == shanghai(2025, 11, 23)


def test_growth_for_life_counts_from_the_beginning() -> None:
    for_life = programme(growth={"per_yuan": 1, "window_months": None})
    assert growth_window_start(for_life, now=shanghai(2026, 11, 23)) is None


def test_a_tier_is_kept_through_the_same_day_a_year_later() -> None:
    assert tier_period_end(programme(), since=shanghai(2026, 11, 23, 15)) == shanghai(2027, 11, 24)


def test_a_tiers_year_is_counted_from_the_day_in_shanghai_not_in_utc() -> None:
    assert tier_period_end(programme(), since=shanghai(2026, 11, 23)) == shanghai(2027, 11, 24)


@pytest.mark.parametrize(
    ("growth", "code"),
    [(0, "regular"), (999, "regular"), (1000, "silver"), (4999, "silver"), (10**9, "diamond")],
)
def test_a_tier_begins_at_its_threshold(growth: int, code: str) -> None:
    assert programme().tier_for(growth).code == code


def test_a_tier_that_this_version_no_longer_has_counts_as_the_lowest() -> None:
    assert programme().tier("platinum").code == "regular"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("points", "per_yuan"), -1),
        (("points", "per_yuan"), True),
        (("points", "per_yuan"), 1.5),
        (("points", "hold_days"), "7"),
        (("points", "expiry"), {"policy": "sometimes"}),
        (("points", "expiry"), {"policy": "rolling", "months": 0}),
        (("growth", "window_months"), 0),
        (("tier_period_months",), 0),
        (("tiers",), []),
        (("tiers", 0, "growth"), 1),
        (("tiers", 2, "growth"), 1000),
        (("tiers", 1, "code"), "gold"),
        (("tiers", 1, "name"), {"en": "Silver"}),
        (("tiers", 1, "entitlements"), None),
        (("points",), None),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(path: tuple[Any, ...], value: Any) -> None:
    rules = copy.deepcopy(RULES)
    place: Any = rules
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InvalidProgramme):
        read_programme(9, json.dumps(rules))


def test_rules_that_are_not_json_are_refused() -> None:
    with pytest.raises(InvalidProgramme):
        read_programme(9, "{")
