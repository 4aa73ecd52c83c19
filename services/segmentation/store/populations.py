"""A whole population as of a business day, scored exactly from the facts. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Double,
    Integer,
    Row,
    Select,
    bindparam,
    case,
    cast,
    func,
    select,
)
from sqlmodel.ext.asyncio.session import AsyncSession

from services.segmentation.domain.rfm import State
from services.segmentation.domain.scoring import (
    Method,
    PopulationFacts,
    Reason,
    Scores,
    Thresholds,
    fixed_thresholds,
)
from services.segmentation.domain.segments import SLEEP_DAYS
from services.segmentation.domain.sizes import Cell, Size, cell_bars, segment_sizes
from services.segmentation.domain.standings import ThresholdSet
from services.segmentation.store.measures import AS_OF, measured
from services.segmentation.store.tables import members
from shared.kernel.ids import new_id
from shared.sql import execute

#: Where quantile cuts lie: k/5, each the nearest double, by which percentile_disc is exact.
_FRACTIONS: Final = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, kw_only=True)
class Population:
    """Everybody who was a member by that day: thresholds, and the sizes of all segments."""

    threshold_set: ThresholdSet
    sizes: Sequence[Size]
    members: int


async def measure_population(session: AsyncSession, *, as_of: date, now: datetime) -> Population:
    """Score everybody by the thresholds of that very day, under an id made `now`."""
    facts = (await execute(session, _FACTS, {"as_of": as_of})).one()
    thresholds = _thresholds(facts, as_of=as_of)
    rows = await execute(
        session,
        _CELLS,
        {
            "as_of": as_of,
            "recency_cuts": [-cut for cut in thresholds.recency_cuts_days],
            "frequency_cuts": list(thresholds.frequency_cuts),
            "monetary_cuts": list(thresholds.monetary_cuts_fen),
        },
    )
    cells = [_cell(row) for row in rows]
    made = ThresholdSet(
        id=new_id("ths", at=now), thresholds=thresholds, mean=cell_bars(cells=cells)
    )
    return Population(
        threshold_set=made,
        sizes=segment_sizes(cells=cells, context=made.context),
        members=sum(cell.members for cell in cells),
    )


def _facts_statement() -> Select[Any]:
    """What thresholds are made of: a row with the facts of the population and its quantile cuts."""
    everybody = measured(of_some=False)
    orders, fen = everybody.c.frequency, everybody.c.monetary_fen
    active = orders > 0
    return select(
        func.count().filter(active).label("population"),
        cast(func.coalesce(func.sum(orders), 0), BigInteger).label("orders"),
        cast(func.coalesce(func.sum(fen), 0), BigInteger).label("monetary_fen"),
        func.coalesce(AS_OF - func.min(everybody.c.first_day), 0).label("history_days"),
        _cuts(everybody.c.recency_days.desc(), active).label("recency_cuts"),
        _cuts(orders, active).label("frequency_cuts"),
        _cuts(fen, active).label("monetary_cuts"),
    )


def _cells_statement() -> Select[Any]:
    """All members known by the day, scored, counted by what their segments depend on."""
    everybody = measured(of_some=False)
    days, orders, fen = (
        everybody.c.recency_days,
        everybody.c.frequency,
        everybody.c.monetary_fen,
    )
    active = orders > 0
    scored = (
        select(
            case((days.is_(None), "prospect"), (active, "active"), else_="lapsed").label("state"),
            case((active, _score(-days, "recency_cuts"))).label("r"),
            case((active, _score(orders, "frequency_cuts"))).label("f"),
            case((active, _score(fen, "monetary_cuts"))).label("m"),
            func.coalesce(days >= SLEEP_DAYS, False).label("asleep"),
            func.coalesce(orders, 0).label("orders"),
            func.coalesce(fen, 0).label("fen"),
        )
        .select_from(members)
        .outerjoin(everybody, everybody.c.member_id == members.c.member_id)
        .where(members.c.since_day <= AS_OF)
        .subquery("scored")
    )
    alike = (scored.c.state, scored.c.r, scored.c.f, scored.c.m, scored.c.asleep)
    return select(
        *alike,
        func.count().label("members"),
        cast(func.sum(scored.c.orders), BigInteger).label("orders"),
        cast(func.sum(scored.c.fen), BigInteger).label("fen"),
    ).group_by(*alike)


def _cuts(value: ColumnElement[int], active: ColumnElement[bool]) -> ColumnElement[Any]:
    fractions = cast(list(_FRACTIONS), ARRAY(Double))
    return func.percentile_disc(fractions).within_group(value).filter(active)


def _score(value: ColumnElement[int], cuts: str) -> ColumnElement[int]:
    """`domain.scoring.score_by_cuts` with cuts from a parameter: one more than the cuts below.

    width_bucket counts the cuts that are at most its operand, hence the value less one.
    """
    cuts_given = cast(bindparam(cuts), ARRAY(BigInteger))
    return 1 + func.width_bucket(cast(value - 1, BigInteger), cuts_given, type_=Integer)


_FACTS: Final = _facts_statement()
_CELLS: Final = _cells_statement()


def _thresholds(row: Row[Any], *, as_of: date) -> Thresholds:
    facts = PopulationFacts(
        population=row.population,
        orders=row.orders,
        monetary_fen=row.monetary_fen,
        history_days=row.history_days,
    )
    if facts.reason is not Reason.enough_data:
        return fixed_thresholds(facts=facts, as_of=as_of)
    return Thresholds(
        method=Method.quantile,
        reason=facts.reason,
        as_of=as_of,
        population=facts.population,
        recency_cuts_days=tuple(row.recency_cuts),
        frequency_cuts=tuple(row.frequency_cuts),
        monetary_cuts_fen=tuple(row.monetary_cuts),
    )


def _cell(row: Row[Any]) -> Cell:
    return Cell(
        state=State(row.state),
        scores=None if row.r is None else Scores(r=row.r, f=row.f, m=row.m),
        asleep=row.asleep,
        members=row.members,
        orders=row.orders,
        monetary_fen=row.fen,
    )
