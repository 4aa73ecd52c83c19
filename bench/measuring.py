"""Runs a part: its variants in turn, several rounds, then a short run to count statements."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bench.counters import Counters
from bench.failures import RunFailed
from bench.figures import Spread, ratios, spread
from bench.parts import Part
from bench.variants import Sample, Variant

_COUNTING_S: Final = 1.0
_ATTEMPTS: Final = 3
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class PerRequest:
    """What the database counted for each request, background work included."""

    statements: float
    writes: float
    wal_bytes: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one variant came to over all rounds."""

    variant: str
    callers: int
    rate: Spread
    ratio: Spread
    p50_ms: Spread
    p99_ms: Spread
    cpu_us: dict[str, Spread]
    #: Share of the machine that everything else used.
    others: Spread
    #: None where it was not counted.
    counted: PerRequest | None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A part and its rows, the first of which is the base of the ratios."""

    part: str
    title: str
    rows: list[Row] = field(default_factory=list)


async def measure(
    part: Part, *, rounds: int, seconds: float, admin_url: str, tell: Tell
) -> Measured:
    """Measure A B C A B C …, so that what disturbs the machine disturbs all of them alike."""
    samples: list[list[Sample]] = [[] for _ in part.variants]
    for number in range(1, rounds + 1):
        for variant, kept in zip(part.variants, samples, strict=True):
            sample = await _patiently(variant, seconds=seconds, tell=tell)
            kept.append(sample)
            tell(f"{part.name} {number}/{rounds}  {variant.name}: {sample.rate:,.0f}/s")
    rows = []
    for variant, kept in zip(part.variants, samples, strict=True):
        counted = await _counted(variant, admin_url=admin_url, tell=tell) if part.counted else None
        rows.append(_row(variant.name, kept, samples[0], counted))
    return Measured(part=part.name, title=part.title, rows=rows)


async def _patiently(
    variant: Variant, *, seconds: float, tell: Tell, counting: bool = False
) -> Sample:
    """One run; one that fails is told and done again, longer, as a crowded machine needs time.

    Raises RunFailed when it keeps failing: figures with errors in them say nothing.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await variant.measure(attempt * seconds, counting=counting)
        except RunFailed as failure:
            if attempt == _ATTEMPTS:
                raise
            tell(f"{variant.name} failed and is run again: {failure}")
    raise AssertionError("the loop returns or raises")


async def _counted(variant: Variant, *, admin_url: str, tell: Tell) -> PerRequest:
    async with Counters(admin_url) as counters:
        sample = await _patiently(variant, seconds=_COUNTING_S, tell=tell, counting=True)
    counted, answered = counters.counted, max(1, sample.answered)
    return PerRequest(
        statements=counted.statements / answered,
        writes=counted.writes / answered,
        wal_bytes=counted.wal_bytes / answered,
    )


def _row(name: str, samples: list[Sample], base: list[Sample], counted: PerRequest | None) -> Row:
    rates = [sample.rate for sample in samples]
    return Row(
        variant=name,
        callers=samples[0].callers,
        rate=spread(rates),
        ratio=ratios(rates, [sample.rate for sample in base]),
        p50_ms=spread([sample.p50_ms for sample in samples]),
        p99_ms=spread([sample.p99_ms for sample in samples]),
        cpu_us={
            process: spread([sample.cpu_us[process] for sample in samples])
            for process in samples[0].cpu_us
        },
        others=spread([sample.others for sample in samples]),
        counted=counted,
    )
