"""The one clock of the product. Everything else receives time as an argument."""

from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

BUSINESS_ZONE = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Where the doors (HTTP, events, jobs) read the time, once per request."""

    def now(self) -> datetime:
        """The present moment, UTC, with microseconds."""
        ...


class SystemClock:
    """The wall clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the single place that reads the wall clock


class FixedClock:
    """A clock that tests set and move by hand."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        """Move time forward by a span."""
        self.at += by


def business_day(at: datetime) -> date:
    """The calendar day in Asia/Shanghai on which a moment falls."""
    return at.astimezone(BUSINESS_ZONE).date()


def business_day_start(day: date) -> datetime:
    """The first moment, in UTC, of a business day."""
    return datetime(day.year, day.month, day.day, tzinfo=BUSINESS_ZONE).astimezone(UTC)


def rfc3339(at: datetime) -> str:
    """A moment as RFC 3339 in UTC with milliseconds, such as `2026-11-23T08:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
