"""Sets of thresholds: made by runs, one at a time in force for live events."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from services.segmentation.domain.scoring import Method, Reason, Thresholds
from services.segmentation.domain.segments import HighBars
from services.segmentation.domain.standings import ThresholdSet
from services.segmentation.store.tables import threshold_sets
from shared.sql import execute

_IN_FORCE: Final = (
    threshold_sets.c.in_force_from.is_not(None),
    threshold_sets.c.in_force_until.is_(None),
)
_SELECT_IN_FORCE: Final = select(threshold_sets).where(*_IN_FORCE)


async def threshold_set(session: AsyncSession, *, id: str) -> ThresholdSet:
    """The set under this id, which is known to exist."""
    row = await execute(session, select(threshold_sets).where(threshold_sets.c.id == id))
    return _set(row.one())


async def threshold_set_in_force(session: AsyncSession) -> ThresholdSet | None:
    """The set by which live events are scored; None before the first event and the first run."""
    row = (await execute(session, _SELECT_IN_FORCE)).one_or_none()
    return None if row is None else _set(row)


async def keep_threshold_set(
    session: AsyncSession, *, made: ThresholdSet, now: datetime, in_force: bool
) -> None:
    """Store a set and, if it is to be in force, let it take over from the one that was."""
    if in_force:
        # Never before it began, even if two machines' clocks differ.
        until = func.greatest(threshold_sets.c.in_force_from, now)
        await execute(
            session, update(threshold_sets).where(*_IN_FORCE).values(in_force_until=until)
        )
    thresholds, mean = made.thresholds, made.mean
    await execute(
        session,
        insert(threshold_sets).values(
            id=made.id,
            as_of=thresholds.as_of,
            method=thresholds.method.value,
            reason=thresholds.reason.value,
            population=thresholds.population,
            recency_cuts_days=list(thresholds.recency_cuts_days),
            frequency_cuts=list(thresholds.frequency_cuts),
            monetary_cuts_fen=list(thresholds.monetary_cuts_fen),
            scored=mean.count,
            r_sum=mean.r_sum,
            f_sum=mean.f_sum,
            m_sum=mean.m_sum,
            made_at=now,
            in_force_from=now if in_force else None,
        ),
    )


def _set(row: Row[Any]) -> ThresholdSet:
    thresholds = Thresholds(
        method=Method(row.method),
        reason=Reason(row.reason),
        as_of=row.as_of,
        population=row.population,
        recency_cuts_days=tuple(row.recency_cuts_days),
        frequency_cuts=tuple(row.frequency_cuts),
        monetary_cuts_fen=tuple(row.monetary_cuts_fen),
    )
    mean = HighBars(count=row.scored, r_sum=row.r_sum, f_sum=row.f_sum, m_sum=row.m_sum)
    return ThresholdSet(id=row.id, thresholds=thresholds, mean=mean)
