"""Runs and how far they have come."""

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from services.segmentation.store.tables import SegmentRun, segment_runs
from shared.sql import execute

#: Whoever takes a run further holds this lock, so that replicas take turns and never both.
_ADVANCING: Final = 7_306_002

_TRY_LOCK = text("select pg_try_advisory_xact_lock(:key)")
# A run may wait longer than a request for the subscriber's transaction, which can be a long one.
_PATIENCE = text("set local lock_timeout = '8s'")
_OPEN: Final = ("queued", "running")


async def try_lock_advancing(session: AsyncSession) -> bool:
    """Become the one to take runs further until the end of the transaction, if nobody else is."""
    await execute(session, _PATIENCE)
    got: bool = (await execute(session, _TRY_LOCK, {"key": _ADVANCING})).scalar_one()
    return got


async def queue_run(session: AsyncSession, *, run: SegmentRun) -> bool:
    """Put a new run into the queue; False when one for its day, or its night, is there already."""
    row = await execute(
        session,
        insert(segment_runs)
        .values(**run.model_dump())
        .on_conflict_do_nothing()
        .returning(segment_runs.c.id),
    )
    return row.one_or_none() is not None


async def run_by_id(session: AsyncSession, *, run_id: str) -> SegmentRun | None:
    """A run as it is now."""
    found = await session.exec(
        select_model(SegmentRun)
        .where(col(SegmentRun.id) == run_id)
        .execution_options(populate_existing=True)
    )
    return found.one_or_none()


async def queued_run(session: AsyncSession, *, as_of: date) -> SegmentRun | None:
    """The run of that day that has not begun yet; there is at most one."""
    found = await session.exec(
        select_model(SegmentRun).where(
            col(SegmentRun.as_of) == as_of, col(SegmentRun.state) == "queued"
        )
    )
    return found.one_or_none()


async def next_open_run(session: AsyncSession) -> SegmentRun | None:
    """The run at work or, when there is none, the one that has waited longest."""
    found = await session.exec(
        select_model(SegmentRun)
        .where(col(SegmentRun.state).in_(_OPEN))
        .order_by((col(SegmentRun.state) == "queued").asc(), col(SegmentRun.id))
        .limit(1)
    )
    return found.one_or_none()


async def has_night_run(session: AsyncSession, *, as_of: date) -> bool:
    """Whether that day has had its night."""
    night = (segment_runs.c.as_of == as_of) & (segment_runs.c.cause == "night")
    return await _exists(session, night)


async def has_run_for_import(session: AsyncSession, *, since: datetime) -> bool:
    """Whether a run is open, or one for an import was asked for since that moment.

    One that failed counts too: it would fail again, and the night tries anew anyway.
    """
    asked = (segment_runs.c.cause == "import") & (segment_runs.c.created_at >= since)
    return await _exists(session, segment_runs.c.state.in_(_OPEN) | asked)


async def stored_run(session: AsyncSession, *, as_of: date) -> SegmentRun | None:
    """The latest run whose sizes still hold for that day."""
    found = await session.exec(
        select_model(SegmentRun)
        .where(
            col(SegmentRun.as_of) == as_of,
            col(SegmentRun.state) == "done",
            col(SegmentRun.outdated).is_(False),
        )
        .order_by(col(SegmentRun.id).desc())
        .limit(1)
    )
    return found.one_or_none()


async def begin_run(session: AsyncSession, *, run_id: str, live: bool, now: datetime) -> None:
    """Let a queued run begin. The caller holds the writing lock: from here on no fact of the
    run's day can be written without marking the run outdated.
    """
    await _update(session, run_id, state="running", live=live, outdated=False, started_at=now)


async def note_population(
    session: AsyncSession, *, run_id: str, threshold_set_id: str, total: int
) -> None:
    """Note that the population has been measured."""
    await _update(session, run_id, threshold_set_id=threshold_set_id, total=total)


async def note_batch(
    session: AsyncSession, *, run_id: str, scored: int, moved: int, last_member_id: str
) -> None:
    """Note that some more members were scored, up to and with this one."""
    so_far = segment_runs.c.scored + scored
    await _update(
        session,
        run_id,
        scored=so_far,
        moved=segment_runs.c.moved + moved,
        # Members may have joined since they were counted.
        total=func.greatest(segment_runs.c.total, so_far),
        last_member_id=last_member_id,
    )


async def finish_run(session: AsyncSession, *, run_id: str, now: datetime) -> None:
    """Let a run end well: all that there is has been scored."""
    await _update(session, run_id, state="done", scored=segment_runs.c.total, finished_at=now)


async def fail_run(session: AsyncSession, *, run_id: str, error: str, now: datetime) -> None:
    """Let a run end badly, for good."""
    await _update(session, run_id, state="failed", error=error, finished_at=now)


async def _exists(session: AsyncSession, condition: Any) -> bool:
    found: bool = (await execute(session, select(exists().where(condition)))).scalar_one()
    return found


async def _update(session: AsyncSession, run_id: str, **values: Any) -> None:
    await execute(session, update(segment_runs).where(segment_runs.c.id == run_id).values(values))
