"""How many members are in each segment, and what they bought, from a population's score cells.

Everybody in a cell is in the same segments, so a population of any size is classified by at most
some 250 cells: five levels of three scores, asleep or not, and the members without scores.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.segmentation.domain.rfm import PROSPECT, Measures, State
from services.segmentation.domain.scoring import Scores
from services.segmentation.domain.segments import (
    SLEEP_DAYS,
    Classification,
    Context,
    Group,
    HighBars,
    Segment,
    Segment11,
    classify,
)

#: The code that stands for members in no working group.
NO_GROUP: Final = "none"


class Scheme(StrEnum):
    """The ways to divide all members; each member is in exactly one part of each."""

    segment = "segment"
    segment_11 = "segment_11"
    group = "group"

    @property
    def codes(self) -> tuple[str, ...]:
        """All its codes, in the order in which they are shown."""
        return _CODES[self]


_CODES: Final = {
    Scheme.segment: tuple(segment.value for segment in Segment),
    Scheme.segment_11: tuple(segment.value for segment in Segment11),
    Scheme.group: (*(group.value for group in Group), NO_GROUP),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Members alike in all that segments depend on; `scores` is None unless they are active."""

    state: State
    scores: Scores | None
    asleep: bool
    members: int
    orders: int
    monetary_fen: int

    @property
    def measures(self) -> Measures:
        """Measures of somebody who would be in this cell."""
        if self.state is State.prospect:
            return PROSPECT
        return Measures(
            recency_days=SLEEP_DAYS if self.asleep else 0,
            frequency=1 if self.state is State.active else 0,
            monetary_fen=0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One part of a scheme: its members, and their orders and money kept in the window."""

    scheme: Scheme
    code: str
    members: int
    orders: int
    monetary_fen: int


def code_in(*, scheme: Scheme, classification: Classification) -> str:
    """The code of a member's part in a scheme."""
    match scheme:
        case Scheme.segment:
            return classification.segment.value
        case Scheme.segment_11:
            return classification.segment_11.value
        case Scheme.group:
            return classification.group.value if classification.group else NO_GROUP


def cell_bars(*, cells: Iterable[Cell]) -> HighBars:
    """The mean of all scores, as `segments.mean_bars` has it for members one by one."""
    count = r_sum = f_sum = m_sum = 0
    for cell in cells:
        if cell.scores is not None:
            count += cell.members
            r_sum += cell.members * cell.scores.r
            f_sum += cell.members * cell.scores.f
            m_sum += cell.members * cell.scores.m
    return HighBars(count=count, r_sum=r_sum, f_sum=f_sum, m_sum=m_sum)


def segment_sizes(*, cells: Sequence[Cell], context: Context) -> list[Size]:
    """The sizes of every part of every scheme, empty ones too; each scheme sums to all members."""
    found: dict[tuple[Scheme, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for cell in cells:
        classification = classify(scores=cell.scores, measures=cell.measures, context=context)
        for scheme in Scheme:
            counted = found[scheme, code_in(scheme=scheme, classification=classification)]
            counted[0] += cell.members
            counted[1] += cell.orders
            counted[2] += cell.monetary_fen
    return [
        Size(scheme=scheme, code=code, members=members, orders=orders, monetary_fen=fen)
        for scheme in Scheme
        for code in scheme.codes
        for members, orders, fen in [found[scheme, code]]
    ]
