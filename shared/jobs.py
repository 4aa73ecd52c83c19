"""The clock's door: work that falls due, run by whichever replica comes by."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.db import Database, Transaction, is_transient
from shared.telemetry import JOB_RUNS

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work that falls due. `step` does one bounded piece in a transaction and says how much.

    It locks what it takes with SKIP LOCKED, so that replicas share the work and never repeat it.
    """

    name: str
    every_s: float
    step: Callable[[Transaction], Awaitable[int]]
    #: The next moment after the given one at which more of this work falls due, None when nothing
    #: will by itself. A sandbox that moves its clock stops there.
    next_due: Callable[[AsyncSession, datetime], Awaitable[datetime | None]] | None = None


async def run_due(job: Job, *, database: Database) -> int:
    """Do all that is due now, piece by piece, and say how much that was."""
    done = 0
    while count := await database.run(job.step, actor=f"job:{job.name}"):
        done += count
    return done


async def run_job(job: Job, *, database: Database, service: str) -> None:
    """Run a job again and again until cancelled."""
    while True:
        try:
            done = await run_due(job, database=database)
            if done:
                _log.info("job done", job=job.name, count=done)
            JOB_RUNS.labels(service, job.name, "done").inc()
        except Exception as error:
            JOB_RUNS.labels(service, job.name, "failed").inc()
            if is_transient(error):
                _log.warning("job postponed", job=job.name, error=type(error).__name__)
            else:
                _log.exception("job failed", job=job.name)
        await asyncio.sleep(job.every_s)
