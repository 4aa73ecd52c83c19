"""A whole population as of a business day, scored exactly from the facts. Writes nothing."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from services.segmentation.domain.scoring import Method, Reason, Thresholds, fixed_thresholds
from services.segmentation.domain.sizes import Size, cell_bars, segment_sizes
from services.segmentation.domain.standings import ThresholdSet
from services.segmentation.store.measures import population_cells, population_facts
from shared.kernel.ids import new_id


@dataclass(frozen=True, kw_only=True)
class Population:
    """Everybody who was a member by that day: thresholds, and the sizes of all segments."""

    threshold_set: ThresholdSet
    sizes: list[Size]
    members: int


async def measure_population(session: AsyncSession, *, as_of: date, now: datetime) -> Population:
    """Score everybody by the thresholds of that very day, under an id made `now`."""
    thresholds = await _thresholds(session, as_of=as_of)
    cells = await population_cells(session, as_of=as_of, thresholds=thresholds)
    made = ThresholdSet(
        id=new_id("ths", at=now), thresholds=thresholds, mean=cell_bars(cells=cells)
    )
    return Population(
        threshold_set=made,
        sizes=segment_sizes(cells=cells, context=made.context),
        members=sum(cell.members for cell in cells),
    )


async def _thresholds(session: AsyncSession, *, as_of: date) -> Thresholds:
    facts, cuts = await population_facts(session, as_of=as_of)
    if facts.reason is not Reason.enough_data:
        return fixed_thresholds(facts=facts, as_of=as_of)
    return Thresholds(
        method=Method.quantile,
        reason=facts.reason,
        as_of=as_of,
        population=facts.population,
        recency_cuts_days=cuts.recency_days,
        frequency_cuts=cuts.frequency,
        monetary_cuts_fen=cuts.monetary_fen,
    )
