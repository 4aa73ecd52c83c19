"""Runs: scoring the whole population, exactly, as of a business day.

A run of the present day puts its thresholds in force and then takes the members to where they
stand by them, some at a time, so that a run that is interrupted goes on where it was. A run of a
past day keeps the sizes of that day and moves nobody.
"""

from datetime import date, timedelta
from typing import Final

import structlog

from services.segmentation.operations.standings import rescore
from services.segmentation.store import runs as store
from services.segmentation.store.facts import lock_writing
from services.segmentation.store.populations import measure_population
from services.segmentation.store.sizes import keep_sizes
from services.segmentation.store.standings import last_unscored_at, members_after
from services.segmentation.store.tables import SegmentRun
from services.segmentation.store.thresholds import keep_threshold_set, threshold_set
from shared.contracts.segmentation import MoveCause
from shared.db import Transaction, is_transient
from shared.kernel.clock import BUSINESS_ZONE, business_day
from shared.kernel.errors import InvalidField
from shared.kernel.ids import new_id

_log = structlog.get_logger()

#: From this hour in Shanghai on, a day wants its night run.
NIGHT_HOUR: Final = 2
#: Members scored in one transaction.
BATCH_MEMBERS: Final = 1000


async def start_run(transaction: Transaction, *, as_of: date | None) -> SegmentRun:
    """Ask for a run of a day, today by default. One that is queued for that day serves for this.

    Raises InvalidField for a day that has not come.
    """
    today = business_day(transaction.now)
    day = as_of or today
    if day > today:
        raise InvalidField(pointer="/as_of", reason="day_in_future")
    run = _new_run(transaction, as_of=day, cause="run")
    # The other one cannot begin and be missed here: what is queued now is looked up or made.
    while not await store.queue_run(transaction.session, run=run):
        queued = await store.queued_run(transaction.session, as_of=day)
        if queued is not None:
            return queued
    return run


async def plan_night(transaction: Transaction) -> int:
    """Ask for the run of this night, once a day, whichever replica comes first. Says how many."""
    today = business_day(transaction.now)
    if transaction.now.astimezone(BUSINESS_ZONE).hour < NIGHT_HOUR:
        return 0
    if await store.has_night_run(transaction.session, as_of=today):
        return 0
    run = _new_run(transaction, as_of=today, cause="night")
    return int(await store.queue_run(transaction.session, run=run))


async def plan_import_run(transaction: Transaction, *, quiet: timedelta) -> int:
    """Ask for a run when imported orders wait and no more have come for a while."""
    newest = await last_unscored_at(transaction.session)
    if newest is None or transaction.now - newest < quiet:
        return 0
    if await store.has_run_for_import(transaction.session, since=newest):
        return 0
    run = _new_run(transaction, as_of=business_day(transaction.now), cause="import")
    return int(await store.queue_run(transaction.session, run=run))


async def advance(transaction: Transaction) -> int:
    """Take the next run one bounded step further; 0 when there is none or another is at it."""
    session = transaction.session
    if not await store.try_lock_advancing(session):
        return 0
    run = await store.next_open_run(session)
    if run is None:
        return 0
    noted = len(transaction.events)
    try:
        async with session.begin_nested():
            await _step(transaction, run=run)
    except Exception as error:
        if is_transient(error):
            raise
        del transaction.events[noted:]
        _log.error("run failed", run_id=run.id, exc_info=error)
        # The message of an exception may quote data; its name and place in the log do not.
        name = type(error).__name__
        await store.fail_run(session, run_id=run.id, error=name, now=transaction.now)
    return 1


async def _step(transaction: Transaction, *, run: SegmentRun) -> None:
    if run.state == "queued":
        await _begin(transaction, run=run)
    elif run.threshold_set_id is None:
        await _measure(transaction, run=run)
    else:
        await _score_batch(transaction, run=run, threshold_set_id=run.threshold_set_id)


async def _begin(transaction: Transaction, *, run: SegmentRun) -> None:
    await lock_writing(transaction.session)
    live = run.as_of == business_day(transaction.now)
    await store.begin_run(transaction.session, run_id=run.id, live=live, now=transaction.now)


async def _measure(transaction: Transaction, *, run: SegmentRun) -> None:
    """Read everything first, without the lock: facts that come meanwhile outdate the run."""
    session, now = transaction.session, transaction.now
    found = await measure_population(session, as_of=run.as_of, now=now)
    await lock_writing(session)
    await keep_threshold_set(session, made=found.threshold_set, now=now, in_force=bool(run.live))
    await keep_sizes(session, run_id=run.id, sizes=found.sizes)
    await store.note_population(
        session, run_id=run.id, threshold_set_id=found.threshold_set.id, total=found.members
    )
    if not run.live:
        await store.finish_run(session, run_id=run.id, now=now)


async def _score_batch(transaction: Transaction, *, run: SegmentRun, threshold_set_id: str) -> None:
    session = transaction.session
    await lock_writing(session)
    member_ids = await members_after(session, member_id=run.last_member_id, limit=BATCH_MEMBERS)
    if member_ids:
        by = await threshold_set(session, id=threshold_set_id)
        moved = await rescore(transaction, member_ids=member_ids, by=by, cause=_cause(run))
        await store.note_batch(
            session,
            run_id=run.id,
            scored=len(member_ids),
            moved=moved,
            last_member_id=member_ids[-1],
        )
    if len(member_ids) < BATCH_MEMBERS:
        await store.finish_run(session, run_id=run.id, now=transaction.now)


def _new_run(transaction: Transaction, *, as_of: date, cause: MoveCause) -> SegmentRun:
    return SegmentRun(
        id=new_id("run", at=transaction.now),
        as_of=as_of,
        cause=cause,
        state="queued",
        actor=transaction.actor,
        created_at=transaction.now,
    )


def _cause(run: SegmentRun) -> MoveCause:
    match run.cause:
        case "night":
            return "night"
        case "import":
            return "import"
        case _:
            return "run"
