"""Medians, percentiles and ratios of what was measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median of some rounds, with the least and the most."""

    median: float
    least: float
    most: float

    def text(self, digits: int = 0) -> str:
        """As the table shows it: `1,234 (1,200–1,250)`; alone when there was one round."""
        middle = f"{self.median:,.{digits}f}"
        if self.least == self.most:
            return middle
        return f"{middle} ({self.least:,.{digits}f}–{self.most:,.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Median, least and most of at least one value."""
    return Spread(median=median(values), least=min(values), most=max(values))


def ratios(values: Sequence[float], to: Sequence[float]) -> Spread:
    """Each round's value to the other's of the same round, so that what slows both cancels."""
    return spread([value / base for value, base in zip(values, to, strict=True) if base])


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of the ordered values do not exceed (nearest rank); 0 when empty."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def per_request_us(seconds: float, requests: int) -> float:
    """Processor time of each request in microseconds; 0 when there was none."""
    return seconds / requests * 1e6 if requests else 0.0
