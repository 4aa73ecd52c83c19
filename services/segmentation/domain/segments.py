"""Segments: the classic eight, the finer eleven, and the three working groups of operations.

Both schemes are total and disjoint: every member is in exactly one segment of each, where members
without scores are `prospect` or `lapsed`. Codes are stable; names for people are in the catalogue
under `name_key`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.segmentation.domain.rfm import Measures, State
from services.segmentation.domain.scoring import LEVELS, Method, Scores

#: From this many days without an order a member sleeps, by default.
SLEEP_DAYS: Final = 90


class Segment(StrEnum):
    """The classic eight by recency, frequency and monetary value high or low, and two without."""

    important_value = "important_value"
    important_retain = "important_retain"
    important_develop = "important_develop"
    important_rescue = "important_rescue"
    general_value = "general_value"
    general_retain = "general_retain"
    general_develop = "general_develop"
    general_rescue = "general_rescue"
    lapsed = "lapsed"
    prospect = "prospect"

    @property
    def name_key(self) -> str:
        """The key of its name in the catalogue of texts."""
        return f"segment.{self.value}.name"


class Segment11(StrEnum):
    """The finer eleven by recency against frequency and monetary value, and two without scores."""

    champions = "champions"
    loyal = "loyal"
    potential_loyalist = "potential_loyalist"
    new = "new"
    promising = "promising"
    needs_attention = "needs_attention"
    about_to_sleep = "about_to_sleep"
    at_risk = "at_risk"
    cant_lose = "cant_lose"
    hibernating = "hibernating"
    lost = "lost"
    lapsed = "lapsed"
    prospect = "prospect"

    @property
    def name_key(self) -> str:
        """The key of its name in the catalogue of texts."""
        return f"segment.{self.value}.name"


class Group(StrEnum):
    """The working groups: each stands for what operations do next with its members."""

    high_value = "high_value"
    potential = "potential"
    sleeping = "sleeping"

    @property
    def name_key(self) -> str:
        """The key of its name in the catalogue of texts."""
        return f"segment_group.{self.value}.name"

    @property
    def action_key(self) -> str:
        """The key of what to do with its members, in the catalogue of texts."""
        return f"segment_group.{self.value}.action"


@dataclass(frozen=True, slots=True)
class HighBars:
    """What a score must exceed to be high: `score * count > sum`, one sum per dimension.

    With the count and the sums of a population's scores, high means above the mean score.
    """

    count: int
    r_sum: int
    f_sum: int
    m_sum: int


#: High means 4 or 5: above the middle of the scale.
MIDDLE_BARS: Final = HighBars(count=1, r_sum=3, f_sum=3, m_sum=3)


@dataclass(frozen=True, slots=True)
class Context:
    """What classifying one member needs to know of the population and the programme."""

    bars: HighBars
    sleep_days: int = SLEEP_DAYS


@dataclass(frozen=True, slots=True)
class Classification:
    """A member's segment in both schemes, and its working group if it is in one."""

    segment: Segment
    segment_11: Segment11
    group: Group | None


#: By (recency high, frequency high, monetary value high).
EIGHT: Final = {
    (True, True, True): Segment.important_value,
    (False, True, True): Segment.important_retain,
    (True, False, True): Segment.important_develop,
    (False, False, True): Segment.important_rescue,
    (True, True, False): Segment.general_value,
    (False, True, False): Segment.general_retain,
    (True, False, False): Segment.general_develop,
    (False, False, False): Segment.general_rescue,
}

_E = Segment11
#: By recency score 1..5 (rows) and frequency-monetary score 1..5 (columns).
ELEVEN: Final = (
    (_E.lost, _E.lost, _E.at_risk, _E.at_risk, _E.cant_lose),
    (_E.hibernating, _E.hibernating, _E.at_risk, _E.at_risk, _E.cant_lose),
    (_E.about_to_sleep, _E.about_to_sleep, _E.needs_attention, _E.loyal, _E.loyal),
    (_E.promising, _E.potential_loyalist, _E.potential_loyalist, _E.loyal, _E.loyal),
    (_E.new, _E.potential_loyalist, _E.potential_loyalist, _E.champions, _E.champions),
)

_GROUP_OF: Final = {
    Segment11.champions: Group.high_value,
    Segment11.loyal: Group.high_value,
    Segment11.cant_lose: Group.high_value,
    Segment11.potential_loyalist: Group.potential,
    Segment11.new: Group.potential,
    Segment11.promising: Group.potential,
}


def mean_bars(*, scores: Iterable[Scores]) -> HighBars:
    """The bars by which high means above the population's mean score.

    In SQL, over scored members: `count(*), sum(r), sum(f), sum(m)`.
    """
    count = r_sum = f_sum = m_sum = 0
    for member in scores:
        count, r_sum = count + 1, r_sum + member.r
        f_sum, m_sum = f_sum + member.f, m_sum + member.m
    return HighBars(count=count, r_sum=r_sum, f_sum=f_sum, m_sum=m_sum)


def high_bars(*, method: Method, mean: HighBars) -> HighBars:
    """Which bars go with thresholds of a method.

    Quantile thresholds go with the mean. Fixed ones go with the middle of the scale, for in a
    small population the mean says nothing: a single member is never above its own mean, so the
    first buyer of a shop would be in the segment of those who are gone.
    """
    return mean if method is Method.quantile else MIDDLE_BARS


def classify(*, scores: Scores | None, measures: Measures, context: Context) -> Classification:
    """Put a member into its segments and its working group.

    `scores` is None exactly when the member is not active; raises ValueError otherwise.

    The group is single. Sleeping goes first, whatever the segment: it is absolute (days without an
    order, because a fifth of any population has the lowest recency score), and a member who stays
    away has to be woken before anything else can be done. A champion asleep is still a champion by
    `segment_11`. Members neither asleep, of high value nor with potential are in no group.

    In SQL, `segment` is a CASE over `r * :count > :r_sum` and so on, `segment_11` a CASE or a join
    over `r` and `(f + m + 1) / 2`, and the group
    `CASE WHEN recency_days >= :sleep_days THEN 'sleeping' WHEN segment_11 IN (…) THEN … END`,
    where a prospect, whose recency is null, has no group.
    """
    if (scores is None) is (measures.state is State.active):
        raise ValueError("active members have scores, and only they")
    segment_11 = _eleven(scores=scores, state=measures.state)
    return Classification(
        segment=_eight(scores=scores, state=measures.state, bars=context.bars),
        segment_11=segment_11,
        group=_group(segment_11=segment_11, measures=measures, sleep_days=context.sleep_days),
    )


def _eight(*, scores: Scores | None, state: State, bars: HighBars) -> Segment:
    if scores is None:
        return Segment(state.value)
    r_high = scores.r * bars.count > bars.r_sum
    f_high = scores.f * bars.count > bars.f_sum
    m_high = scores.m * bars.count > bars.m_sum
    return EIGHT[r_high, f_high, m_high]


def _eleven(*, scores: Scores | None, state: State) -> Segment11:
    if scores is None:
        return Segment11(state.value)
    if not (1 <= scores.r <= LEVELS and 1 <= scores.fm <= LEVELS):
        raise ValueError("scores are 1..5")
    return ELEVEN[scores.r - 1][scores.fm - 1]


def _group(*, segment_11: Segment11, measures: Measures, sleep_days: int) -> Group | None:
    if measures.recency_days is not None and measures.recency_days >= sleep_days:
        return Group.sleeping
    return _GROUP_OF.get(segment_11)
