"""The programme's rules: what an order earns, when points lapse, which tiers there are.

The rules are data, one immutable version after another, and every entry pins the version that made
it. They are read into these types once and validated there, so that a rule that cannot be never
reaches a decision. All arithmetic is on integers: a rate per yuan, a multiplier in hundredths, and
one rounding down at the very end.
"""

import calendar
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal

from services.loyalty.domain.lots_rules import LotsRules, read_lots_rules
from services.loyalty.domain.order_rules import OrderRules, read_order_rules
from services.loyalty.domain.points_rules import PointsRules, read_points_rules
from shared.kernel.clock import business_day, business_day_start
from shared.kernel.money import FEN_PER_YUAN
from shared.kernel.texts import Language

ExpiryPolicy = Literal["rolling", "activity", "fixed", "never"]

_PERCENT: Final = 100
_MOST_DAYS: Final = 3660
_MOST_MONTHS: Final = 120


class InvalidProgramme(ValueError):
    """The rules are not ones that could be followed."""


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """How long points are good for, counted from the day they become available.

    `rolling`: `months` months, rounded to the end of the month. `activity`: as rolling, and again
    from each order or redemption of the member (domain.activity). `fixed`: 31 December of the
    following year. `never`: for ever.
    """

    policy: ExpiryPolicy
    months: int = 0


@dataclass(frozen=True, kw_only=True)
class Tier:
    """A level of membership, reached at `growth`."""

    code: str
    names: Mapping[Language, str]
    growth: int
    multiplier_percent: int
    entitlements: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CheckoutRules:
    """How points and reservations work at checkout."""

    points_per_yuan: int
    #: Points pay at most this share of what vouchers leave, in hundredths.
    max_share_percent: int
    #: Fewer points than this are not taken.
    least_points: int
    #: How long a reservation holds.
    reservation_minutes: int


@dataclass(frozen=True, kw_only=True)
class Programme:
    """One version of the rules. `tiers` ascend; the first begins at growth 0."""

    version: int
    points_per_yuan: int
    hold_days: int
    expiry: Expiry
    lots: LotsRules
    growth_per_yuan: int
    #: Months for which growth counts; None means for life.
    growth_window_months: int | None
    tier_period_months: int
    checkout: CheckoutRules
    orders: OrderRules
    points: PointsRules
    tiers: tuple[Tier, ...]

    def tier(self, code: str) -> Tier:
        """The tier of a code; the lowest when this version no longer has it."""
        return next((tier for tier in self.tiers if tier.code == code), self.tiers[0])

    def tier_for(self, growth: int) -> Tier:
        """The highest tier that so much growth reaches."""
        return next(tier for tier in reversed(self.tiers) if growth >= tier.growth)

    def next_tier(self, code: str) -> Tier | None:
        """The tier above; None at the top."""
        place = self.tiers.index(self.tier(code)) + 1
        return self.tiers[place] if place < len(self.tiers) else None


def earned_points(*, paid_fen: int, points_per_yuan: int, multiplier_percent: int) -> int:
    """Points for an amount paid in cash, rounded down once, at the end."""
    return paid_fen * points_per_yuan * multiplier_percent // (FEN_PER_YUAN * _PERCENT)


def earned_growth(*, paid_fen: int, growth_per_yuan: int) -> int:
    """Growth for an amount paid in cash, in whole points of growth."""
    return paid_fen * growth_per_yuan // FEN_PER_YUAN


def expires_at(expiry: Expiry, *, available_at: datetime) -> datetime | None:
    """The first moment after the last valid day, in UTC; None when the points never lapse."""
    day = business_day(available_at)
    if expiry.policy == "never":
        return None
    if expiry.policy == "fixed":
        return business_day_start(date(day.year + 2, 1, 1))
    return month_end(add_months(day, expiry.months))


def month_end(day: date) -> datetime:
    """The first moment, in UTC, after the month of a business day."""
    last = day.replace(day=calendar.monthrange(day.year, day.month)[1])
    return business_day_start(last + timedelta(days=1))


def add_months(day: date, months: int) -> date:
    """The same day some months later (or earlier), or that month's last if it is shorter."""
    year, month_index = divmod(day.year * 12 + day.month - 1 + months, 12)
    month = month_index + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def growth_window_start(programme: Programme, *, now: datetime) -> datetime | None:
    """From when on growth counts at present: a business day's beginning; None means always."""
    months = programme.growth_window_months
    return None if months is None else _window_start(months, now)


@lru_cache(maxsize=64)
def _window_start(months: int, now: datetime) -> datetime:
    return business_day_start(add_months(business_day(now), -months))


def tier_period_end(programme: Programme, *, since: datetime) -> datetime:
    """The first moment after the last day on which a tier reached at `since` is kept."""
    last = add_months(business_day(since), programme.tier_period_months)
    return business_day_start(last + timedelta(days=1))


@lru_cache(maxsize=64)
def read_programme(version: int, rules: str) -> Programme:
    """Read a version's rules from JSON. Raises InvalidProgramme when they cannot be followed."""
    try:
        given = json.loads(rules)
        points, growth = given["points"], given["growth"]
        return Programme(
            version=version,
            points_per_yuan=_count(points["per_yuan"]),
            hold_days=_count(points["hold_days"], most=_MOST_DAYS),
            expiry=_expiry(points["expiry"]),
            lots=read_lots_rules(points["expiry"]),
            growth_per_yuan=_count(growth["per_yuan"]),
            growth_window_months=_window(growth["window_months"]),
            tier_period_months=_count(given["tier_period_months"], least=1, most=_MOST_MONTHS),
            checkout=_checkout(points["redeem"]),
            orders=read_order_rules(points),
            points=read_points_rules(points),
            tiers=_tiers(given["tiers"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidProgramme(f"version {version}: {error!r}") from error


def _count(given: object, *, least: int = 0, most: int = 1_000_000) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
        raise InvalidProgramme(f"{given!r} is not a whole number from {least} to {most}")
    return given


def _window(given: object) -> int | None:
    return None if given is None else _count(given, least=1, most=_MOST_MONTHS)


def _expiry(given: Mapping[str, object]) -> Expiry:
    policy = given["policy"]
    if policy == "rolling" or policy == "activity":
        return Expiry(policy=policy, months=_count(given["months"], least=1, most=_MOST_MONTHS))
    if policy == "fixed" or policy == "never":
        return Expiry(policy=policy)
    raise InvalidProgramme(f"{policy!r} is not a way for points to lapse")


def _checkout(given: Mapping[str, object]) -> CheckoutRules:
    return CheckoutRules(
        points_per_yuan=_count(given["points_per_yuan"], least=1),
        max_share_percent=_count(given.get("max_share_percent", 50), most=_PERCENT),
        least_points=_count(given.get("least_points", 100), least=1),
        reservation_minutes=_count(given.get("reservation_minutes", 15), least=1, most=1440),
    )


def _tiers(given: list[dict[str, object]]) -> tuple[Tier, ...]:
    tiers = tuple(_tier(one) for one in given)
    thresholds = [tier.growth for tier in tiers]
    if not tiers or thresholds[0] != 0 or sorted(set(thresholds)) != thresholds:
        raise InvalidProgramme("tiers must ascend from growth 0")
    if len({tier.code for tier in tiers}) != len(tiers):
        raise InvalidProgramme("two tiers have the same code")
    return tiers


def _tier(given: dict[str, object]) -> Tier:
    names, entitlements = given["name"], given["entitlements"]
    if not isinstance(names, dict) or not isinstance(entitlements, list):
        raise InvalidProgramme("a tier needs its names and a list of entitlements")
    return Tier(
        code=str(given["code"]),
        names={"zh-CN": str(names["zh-CN"]), "en": str(names["en"])},
        growth=_count(given["growth"], most=2**53 - 1),
        multiplier_percent=_count(given["multiplier_percent"], most=10_000),
        entitlements=tuple(str(one) for one in entitlements),
    )
