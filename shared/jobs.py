"""The clock's door: work that falls due, run by whichever replica comes by."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.db import Database, Transaction, is_transient
from shared.gate import Gate
from shared.telemetry import JOB_LEFT_OUT, JOB_RUNS

_log = structlog.get_logger()

#: How many that cannot be served may stand before one that can, for steps that serve one.
TRIED_PER_STEP: Final = 100

Whom = TypeVar("Whom", str, Sequence[str])


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work that falls due. `step` does one bounded piece in a transaction and says how much.

    It locks what it takes with SKIP LOCKED, so that replicas share the work and never repeat it;
    and it looks past those in `transaction.left_out`, so that they hold up nobody behind them.
    """

    name: str
    every_s: float
    step: Callable[[Transaction], Awaitable[int]]
    #: The first moment after the given one, itself not included, at which more of this work falls
    #: due; None when none will by itself. A sandbox that moves its clock visits that moment.
    next_due: Callable[[AsyncSession, datetime], Awaitable[datetime | None]] | None = None


async def run_due(job: Job, *, database: Database, go_on: Callable[[], bool] = lambda: True) -> int:
    """Do all that is due now, piece by piece while `go_on` says so; how much that was.

    A piece of which nothing is done ends the run, unless that is because it left somebody out:
    then the next one is for those behind. Each is left out once, and tried again by the next run.
    """
    done, left_out = 0, set[str]()
    while True:
        known = len(left_out)
        count = await database.run(job.step, actor=f"job:{job.name}", left_out=left_out)
        done += count
        if not count and len(left_out) == known:
            return done
        if count and not go_on():
            return done


async def apart(
    transaction: Transaction,
    ids: Sequence[str],
    work: Callable[[Sequence[str]], Awaitable[int]],
) -> int:
    """Do a step's work for all of these at once, or for one half after the other where that fails.

    So nobody whose rows are not as they should be holds up the others of the step: who fails alone
    is left out for the rest of the run, in the log and in a figure. Says how much was done. Raises
    what may pass by itself.
    """
    if not ids:
        return 0
    try:
        return await _undoing(transaction, ids, work)
    except Exception as error:
        if is_transient(error):
            raise
        if len(ids) == 1:
            leave_out(transaction, ids[0])
            return 0
    middle = len(ids) // 2
    done = await apart(transaction, ids[:middle], work)
    return done + await apart(transaction, ids[middle:], work)


async def first_of(
    transaction: Transaction, ids: Sequence[str], work: Callable[[str], Awaitable[int]]
) -> int:
    """Do a step's work for the first of these for which it does not fail; says how much was done.

    For work that has to wait for its locks, which a step must not gather. Who fails is left out,
    and an error that may pass by itself is raised, as by `apart`.
    """
    for one in ids:
        try:
            return await _undoing(transaction, one, work)
        except Exception as error:
            if is_transient(error):
                raise
            leave_out(transaction, one)
    return 0


def leave_out(transaction: Transaction, who: str) -> None:
    """Go on without somebody whose part just failed, in the log and in a figure."""
    transaction.left_out.add(who)
    JOB_LEFT_OUT.labels(transaction.actor).inc()
    _log.exception("somebody was left out", actor=transaction.actor, id=who)


async def _undoing(
    transaction: Transaction, whom: Whom, work: Callable[[Whom], Awaitable[int]]
) -> int:
    """The work, of which nothing remains when it fails, in the database or among the events."""
    noted = len(transaction.events)
    try:
        async with transaction.session.begin_nested():
            return await work(whom)
    except BaseException:
        del transaction.events[noted:]
        raise


async def run_job(job: Job, *, database: Database, service: str, gate: Gate | None = None) -> None:
    """Run a job again and again until cancelled, whenever the gate is open."""
    gate = gate or Gate()
    while True:
        async with gate.passing():
            await _run_once(job, database=database, service=service, gate=gate)
        await asyncio.sleep(job.every_s)


async def _run_once(job: Job, *, database: Database, service: str, gate: Gate) -> None:
    try:
        done = await run_due(job, database=database, go_on=gate.is_open)
        if done:
            _log.info("job done", job=job.name, count=done)
        JOB_RUNS.labels(service, job.name, "done").inc()
    except Exception as error:
        JOB_RUNS.labels(service, job.name, "failed").inc()
        if is_transient(error):
            _log.warning("job postponed", job=job.name, error=type(error).__name__)
        else:
            _log.exception("job failed", job=job.name)
