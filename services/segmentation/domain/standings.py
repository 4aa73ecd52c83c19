"""Where a member stands: measures, scores and segments together; and moves between standings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from services.segmentation.domain.rfm import Measures
from services.segmentation.domain.scoring import (
    PopulationFacts,
    Scores,
    Thresholds,
    fixed_thresholds,
    score,
)
from services.segmentation.domain.segments import (
    Classification,
    Context,
    HighBars,
    classify,
    high_bars,
)
from services.segmentation.domain.sizes import NO_GROUP, Scheme, code_in

_NOBODY: Final = PopulationFacts(population=0, orders=0, monetary_fen=0, history_days=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdSet:
    """Thresholds under their id, with the mean of the scores they gave their population."""

    id: str
    thresholds: Thresholds
    mean: HighBars

    @property
    def context(self) -> Context:
        """What classifying by these thresholds needs to know."""
        return Context(bars=high_bars(method=self.thresholds.method, mean=self.mean))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that RFM says of one member as of a day."""

    measures: Measures
    scores: Scores | None
    classification: Classification


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A member's way from one part of a scheme to another; None stands for no group."""

    scheme: Scheme
    left: str | None
    entered: str | None


def first_threshold_set(*, id: str, as_of: date) -> ThresholdSet:
    """What scores the first buyers, before any run: fixed cuts for an assumed mean order."""
    return ThresholdSet(
        id=id,
        thresholds=fixed_thresholds(facts=_NOBODY, as_of=as_of),
        mean=HighBars(count=0, r_sum=0, f_sum=0, m_sum=0),
    )


def stand(*, measures: Measures, by: ThresholdSet) -> Standing:
    """Score and classify one member by a set of thresholds."""
    scores = score(measures=measures, thresholds=by.thresholds)
    return Standing(
        measures=measures,
        scores=scores,
        classification=classify(scores=scores, measures=measures, context=by.context),
    )


def moves(*, before: Classification, after: Classification) -> Sequence[Move]:
    """The moves between two classifications; none when they are the same."""
    found = []
    for scheme in Scheme:
        left = code_in(scheme=scheme, classification=before)
        entered = code_in(scheme=scheme, classification=after)
        if left != entered:
            found.append(Move(scheme=scheme, left=_part(left), entered=_part(entered)))
    return found


def _part(code: str) -> str | None:
    return None if code == NO_GROUP else code
