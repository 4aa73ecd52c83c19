"""The calendar and the lots of the reference, which shares nothing with the service."""

import calendar
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from types import SimpleNamespace as Record
from typing import Any

DAY = timedelta(days=1)
FAR = datetime.max.replace(tzinfo=UTC)


class No(Exception):
    """A refusal; its argument is the code."""


def day_of(at: datetime) -> date:
    return (at + timedelta(hours=8)).date()


def start_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=8)


def month_end(day: date) -> datetime:
    return start_of(day.replace(day=calendar.monthrange(day.year, day.month)[1]) + DAY)


def year_on(at: datetime) -> datetime:
    return month_end(day_of(at).replace(year=day_of(at).year + 1, day=1))


def later(day: date) -> datetime:
    """An extension: thirty days on, to the end of the month."""
    return month_end(day + 29 * DAY)


def day_end(at: datetime) -> datetime:
    """The end of a business day; its very beginning is the end of the one before."""
    return start_of(day_of(at - timedelta(microseconds=1)) + DAY)


@dataclass
class Lot:
    cause: str
    points: int
    left: int
    born: datetime
    ends: datetime | None
    due: datetime | None = None
    open: bool = True


@dataclass
class Member:
    lots: dict[str, Lot] = field(default_factory=dict)
    held: int = 0
    debt: int = 0
    state: str = "active"
    into: str | None = None
    lapsed: dict[str, int] = field(default_factory=dict)

    def points(self, *, are_open: bool) -> int:
        return sum(lot.left for lot in self.lots.values() if lot.open is are_open)

    def turn(self, name: str) -> tuple[datetime, datetime, str]:
        return self.lots[name].ends or FAR, self.lots[name].born, name

    def in_turn(self) -> list[str]:
        return sorted((n for n, lot in self.lots.items() if lot.open and lot.left), key=self.turn)

    def take(self, names: list[str], points: int) -> dict[str, int]:
        given = {}
        for name in names:
            given[name] = min(self.lots[name].left, points)
            self.lots[name].left -= given[name]
            points -= given[name]
        return {name: part for name, part in given.items() if part}

    def repay(self, names: list[str]) -> None:
        self.debt -= sum(self.take(names, self.debt).values())

    def spend(self, points: int, names: list[str] | None = None) -> dict[str, int]:
        if points > self.points(are_open=True):
            raise No("insufficient_points")
        return self.take(self.in_turn() if names is None else names, points)

    def get_back(self, record: Record, points: int) -> None:
        """The last used first, then they repay debt."""
        returned = []
        for name in sorted(record.used, key=self.turn, reverse=True):
            if part := min(record.used[name], points):
                self.lots[name].left, self.lots[name].open = self.lots[name].left + part, True
                record.used[name], points = record.used[name] - part, points - part
                returned.append(name)
        self.repay(returned)


def asked(rule: Callable[..., None]) -> Callable[..., str]:
    """A request: it does all or, when refused, nothing."""

    @wraps(rule)
    def outcome(books: Any, *given: Any) -> str:
        before = pickle.dumps((books.members, books.redemptions))
        try:
            rule(books, *given)
        except No as no:
            books.members, books.redemptions = pickle.loads(before)
            return str(no)
        return "ok"

    return outcome
