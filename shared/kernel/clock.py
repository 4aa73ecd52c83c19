"""The one clock of the product. Everything else receives time as an argument."""

from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class ClockSetting:
    """How a sandbox's clock is set; `revision` grows with every change of it."""

    revision: int = 0
    #: What is added to the machine's time while the clock flows.
    offset: timedelta = timedelta(0)
    #: The last moment the clock was set to. It never shows an earlier one.
    at: datetime | None = None
    #: Whether it stands still at that moment.
    standing: bool = False


class MovableClock:
    """A sandbox's clock: the machine's moved forward, or standing still at a moment."""

    def __init__(self, machine: Clock) -> None:
        self.machine = machine
        self.setting = ClockSetting()

    def now(self) -> datetime:
        setting = self.setting
        if setting.at is None:
            return self.machine.now()
        if setting.standing:
            return setting.at
        # The machines of a deployment differ by a little; time goes back on none of them.
        return max(setting.at, self.machine.now() + setting.offset)

    def follow(self, setting: ClockSetting) -> bool:
        """Take a setting over if it is newer than the present one; says whether it was."""
        newer = setting.revision > self.setting.revision
        if newer:
            self.setting = setting
        return newer


def business_day(at: datetime) -> date:
    """The calendar day in Asia/Shanghai on which a moment falls."""
    return at.astimezone(BUSINESS_ZONE).date()


def business_day_start(day: date) -> datetime:
    """The first moment, in UTC, of a business day."""
    return datetime(day.year, day.month, day.day, tzinfo=BUSINESS_ZONE).astimezone(UTC)


def rfc3339(at: datetime) -> str:
    """A moment as RFC 3339 in UTC with milliseconds, such as `2026-11-23T08:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
