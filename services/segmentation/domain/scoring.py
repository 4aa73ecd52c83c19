"""Scores 1..5 of recency, frequency and monetary value; 5 is the best in all three.

A score is a place in the population of active members: `1 + floor(L * worse / N)`, where `worse`
counts the members strictly worse. The same score comes from L-1 cut points, which are order
statistics of the population, so a store finds the cuts once and scores each member by itself.
Equal values always score equally. Everything is integer arithmetic.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import Final

from services.segmentation.domain.rfm import Measures, State

LEVELS: Final = 5

#: Below either, places in the population mean little (one customer would be the worst of all).
MIN_POPULATION: Final = 500
MIN_HISTORY_DAYS: Final = 180

#: Fixed cuts. Recency scores 5 to 2 up to 30, 60, 120 and 240 days; frequency 2 to 5 from 2, 3, 5
#: and 10 orders; monetary value 2 to 5 from these fractions of the mean order.
FIXED_RECENCY_CUTS_DAYS: Final = (241, 121, 61, 31)
FIXED_FREQUENCY_CUTS: Final = (1, 2, 4, 9)
FIXED_MONETARY_MULTIPLES: Final = ((1, 2), (1, 1), (2, 1), (4, 1))
#: Stands for the mean order while nobody has bought: 200 yuan.
ASSUMED_MEAN_ORDER_FEN: Final = 20_000


class Method(StrEnum):
    """Where cut points come from."""

    quantile = "quantile"  #: order statistics of the population
    fixed = "fixed"  #: absolute cuts, the same for every population but for the mean order


class Reason(StrEnum):
    """Why a set of thresholds uses its method."""

    enough_data = "enough_data"  #: quantile
    small_population = "small_population"  #: fixed: fewer than 500 active members
    short_history = "short_history"  #: fixed: less than 180 days since the first valid order


@dataclass(frozen=True, slots=True)
class PopulationFacts:
    """What must be known of the active members before thresholds are made.

    In SQL, over active members: `count(*)`, `sum(frequency)`, `sum(monetary_fen)`; and
    `history_days` is `:as_of - min(paid_day)` over all valid orders ever, 0 when there is none.
    """

    population: int
    orders: int
    monetary_fen: int
    history_days: int

    @property
    def reason(self) -> Reason:
        """Which method fits this population, and why."""
        if self.population < MIN_POPULATION:
            return Reason.small_population
        if self.history_days < MIN_HISTORY_DAYS:
            return Reason.short_history
        return Reason.enough_data


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Four cut points per dimension, from worst to best, as of a business day.

    A member scores `1 + cuts beaten`: recency beats a cut by *fewer* days, the others by *more*.
    Raises ValueError when a dimension has not four cuts or they run from best to worst.
    """

    method: Method
    reason: Reason
    as_of: date
    population: int
    recency_cuts_days: tuple[int, ...]
    frequency_cuts: tuple[int, ...]
    monetary_cuts_fen: tuple[int, ...]

    def __post_init__(self) -> None:
        recency = tuple(-days for days in self.recency_cuts_days)
        for cuts in (recency, self.frequency_cuts, self.monetary_cuts_fen):
            if len(cuts) != LEVELS - 1 or any(low > high for low, high in pairwise(cuts)):
                raise ValueError("thresholds are four cuts per dimension, from worst to best")


@dataclass(frozen=True, slots=True, order=True)
class Scores:
    """The three scores of an active member, each 1..5, 5 the best."""

    r: int
    f: int
    m: int

    @property
    def fm(self) -> int:
        """Frequency and monetary value as one score 1..5: their mean, rounded half up."""
        return (self.f + self.m + 1) // 2


def population_scores(*, values: Sequence[int], levels: int = LEVELS) -> list[int]:
    """Score each value by its place among all: `1 + floor(levels * worse / N)`; higher is better.

    This is the definition. In SQL:
    `1 + (:levels * (rank() OVER (ORDER BY value) - 1)) / count(*) OVER ()`.
    """
    ranked = sorted(values)
    return [1 + levels * bisect_left(ranked, value) // len(ranked) for value in values]


def quantile_cuts(*, values: Sequence[int], levels: int = LEVELS) -> tuple[int, ...]:
    """The cuts that give the same scores: the ceil(k*N/levels)-th smallest value, k = 1..levels-1.

    No cuts for no values. In SQL: `percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP
    (ORDER BY value)`. PostgreSQL finds the row as `ceil(fraction * N)` in double precision, which
    is the exact row for the fraction nearest to k/levels, but not for one that was computed, such
    as `3 * 0.2::float8`.
    """
    ranked = sorted(values)
    if not ranked:
        return ()
    return tuple(ranked[(k * len(ranked) + levels - 1) // levels - 1] for k in range(1, levels))


def score_by_cuts(*, value: int, cuts: Sequence[int]) -> int:
    """Score a value against cuts from worst to best, higher is better: `1 + cuts beaten`.

    A value equal to a cut has not beaten it.
    """
    return 1 + bisect_left(cuts, value)


def score(*, measures: Measures, thresholds: Thresholds) -> Scores | None:
    """Score one member; None when it is not active, for only active members have a place.

    In SQL: `1 + (recency_days < cut_1)::int + … + (recency_days < cut_4)::int`, and `>` for
    frequency and monetary value.
    """
    if measures.recency_days is None or measures.state is not State.active:
        return None
    recency_cuts = [-days for days in thresholds.recency_cuts_days]
    return Scores(
        r=score_by_cuts(value=-measures.recency_days, cuts=recency_cuts),
        f=score_by_cuts(value=measures.frequency, cuts=thresholds.frequency_cuts),
        m=score_by_cuts(value=measures.monetary_fen, cuts=thresholds.monetary_cuts_fen),
    )


def population_thresholds(
    *, members: Sequence[Measures], as_of: date, history_days: int
) -> Thresholds:
    """Make the thresholds of a whole population; members that are not active are left out.

    `history_days` is the age of the programme's first valid order. Quantile cuts need at least 500
    active members and 180 days; otherwise the cuts are fixed, and `reason` says why.

    A store finds the same in SQL: `PopulationFacts` by one aggregate; if its reason is
    `enough_data`, the cuts by percentile_disc (see quantile_cuts), with recency in descending
    order, `WITHIN GROUP (ORDER BY recency_days DESC)`; else by fixed_thresholds.
    """
    active = [member for member in members if member.state is State.active]
    facts = PopulationFacts(
        population=len(active),
        orders=sum(member.frequency for member in active),
        monetary_fen=sum(member.monetary_fen for member in active),
        history_days=history_days,
    )
    if facts.reason is not Reason.enough_data:
        return fixed_thresholds(facts=facts, as_of=as_of)
    recency = [-member.recency_days for member in active if member.recency_days is not None]
    return Thresholds(
        method=Method.quantile,
        reason=facts.reason,
        as_of=as_of,
        population=facts.population,
        recency_cuts_days=tuple(-cut for cut in quantile_cuts(values=recency)),
        frequency_cuts=quantile_cuts(values=[member.frequency for member in active]),
        monetary_cuts_fen=quantile_cuts(values=[member.monetary_fen for member in active]),
    )


def fixed_thresholds(*, facts: PopulationFacts, as_of: date) -> Thresholds:
    """The absolute cuts, with monetary value measured in mean orders of this population."""
    return Thresholds(
        method=Method.fixed,
        reason=facts.reason,
        as_of=as_of,
        population=facts.population,
        recency_cuts_days=FIXED_RECENCY_CUTS_DAYS,
        frequency_cuts=FIXED_FREQUENCY_CUTS,
        monetary_cuts_fen=_fixed_monetary_cuts(facts),
    )


def _fixed_monetary_cuts(facts: PopulationFacts) -> tuple[int, ...]:
    """Whoever reaches a multiple of the mean order has beaten its cut, so each cut lies 1 below."""
    fen, orders = facts.monetary_fen, facts.orders
    if orders == 0:
        fen, orders = ASSUMED_MEAN_ORDER_FEN, 1
    return tuple(
        -(-fen * above // (orders * below)) - 1 for above, below in FIXED_MONETARY_MULTIPLES
    )
