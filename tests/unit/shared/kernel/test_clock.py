"""The business day is Shanghai's, whatever zone a moment is written in."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.clock import (
    ClockSetting,
    FixedClock,
    MovableClock,
    SystemClock,
    business_day,
    business_day_start,
    rfc3339,
)

MONDAY = datetime(2026, 11, 23, 4, tzinfo=UTC)
days = st.dates(date(1992, 1, 1), date(2099, 12, 30))


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 11, 22, 15, 59, 59, 999999, tzinfo=UTC), date(2026, 11, 22)),
        (datetime(2026, 11, 22, 16, 0, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), date(2027, 1, 1)),
        (datetime(2028, 2, 28, 16, 0, tzinfo=UTC), date(2028, 2, 29)),
        (datetime(2026, 11, 23, 0, 30, tzinfo=timezone(timedelta(hours=14))), date(2026, 11, 22)),
    ],
)
def test_a_business_day_begins_at_midnight_in_shanghai(at: datetime, day: date) -> None:
    assert business_day(at) == day


@given(days)
def test_a_business_day_is_24_hours_that_follow_the_day_before(day: date) -> None:
    start = business_day_start(day)
    assert start.tzinfo is UTC
    assert business_day(start) == day
    assert business_day(start - timedelta(microseconds=1)) == day - timedelta(days=1)
    assert business_day_start(day + timedelta(days=1)) - start == timedelta(hours=24)


def test_moments_are_written_in_utc_with_milliseconds() -> None:
    east = timezone(timedelta(hours=8))
    assert rfc3339(datetime(2026, 11, 23, 16, 0, 0, 123999, tzinfo=east)) == (
        "2026-11-23T08:00:00.123Z"
    )


def test_a_clock_of_a_test_moves_only_by_hand() -> None:
    clock = FixedClock(datetime(2026, 11, 23, tzinfo=UTC))
    assert clock.now() == clock.now()
    clock.advance(timedelta(days=400))
    assert clock.now() == datetime(2027, 12, 28, tzinfo=UTC)


def test_the_clock_of_the_machine_is_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_a_sandbox_that_was_never_moved_shows_the_time_of_the_machine() -> None:
    machine = FixedClock(MONDAY)
    clock = MovableClock(machine)
    machine.advance(timedelta(hours=1))
    assert clock.now() == MONDAY + timedelta(hours=1)


def test_a_standing_clock_shows_its_moment_whatever_the_machine_says() -> None:
    machine = FixedClock(MONDAY)
    clock = MovableClock(machine)
    assert clock.follow(ClockSetting(revision=1, at=MONDAY + timedelta(days=9), standing=True))
    machine.advance(timedelta(hours=1))
    assert clock.now() == MONDAY + timedelta(days=9)


def test_a_clock_that_was_let_go_flows_with_the_machine_and_never_goes_back() -> None:
    machine = FixedClock(MONDAY)
    clock = MovableClock(machine)
    week = timedelta(days=7)
    clock.follow(ClockSetting(revision=1, offset=week, at=MONDAY + week))
    machine.advance(timedelta(minutes=5))
    assert clock.now() == MONDAY + week + timedelta(minutes=5)
    machine.at = MONDAY - timedelta(seconds=1)  # this machine is a second behind the others
    assert clock.now() == MONDAY + week


def test_an_older_setting_that_comes_late_is_not_followed() -> None:
    clock = MovableClock(FixedClock(MONDAY))
    newer = ClockSetting(revision=2, at=MONDAY + timedelta(days=2), standing=True)
    assert clock.follow(newer)
    assert not clock.follow(ClockSetting(revision=1, at=MONDAY, standing=True))
    assert not clock.follow(newer)
    assert clock.now() == MONDAY + timedelta(days=2)
