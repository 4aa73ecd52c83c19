"""A service's part in moving a sandbox's clock: it stops, visits moments, and goes on. ADR 0010.

The setting is kept in the service's own database. The process that is told follows at once, the
others of the same service within `FOLLOWED_WITHIN_S`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import httpx
import structlog

from shared.db import Database, Transaction, is_transient
from shared.events.sequencer import sequence_all
from shared.events.subscriber import FeedBroken, FeedRefused, Subscriber
from shared.gate import Gate
from shared.jobs import Job, run_due
from shared.kernel.clock import MovableClock
from shared.kernel.errors import Refusal, RefusalKind
from shared.kernel.visits import Visit
from shared.service.clock_setting import keep_setting, read_places, read_setting

_log = structlog.get_logger()

FOLLOW_EVERY_S: Final = 0.1
FOLLOWED_WITHIN_S: Final = 0.3
#: A visit is cut into pieces of about so long, each one call.
_PIECE_S: Final = 1.0
_ACTOR: Final = "test_clock"


class ClockNotStopped(Refusal):
    """Moments are visited only while the clock stands still, and in their order."""

    code = "clock_not_stopped"


class FeedUnheard(Refusal):
    """A producer's events cannot be had just now, so this moment cannot come to its rest."""

    code = "feed_unheard"
    kind = RefusalKind.unavailable


class Timekeeper:
    """Moves the clock of one service, and does what falls due at each moment."""

    def __init__(
        self,
        *,
        database: Database,
        clock: MovableClock,
        gate: Gate,
        jobs: Sequence[Job],
        subscribers: Mapping[str, Subscriber],
    ) -> None:
        self.clock = clock
        self._database = database
        self._gate = gate
        self._jobs = jobs
        self._subscribers = subscribers

    async def load(self) -> None:
        """Take over what the database says."""
        async with self._database.reading() as session:
            setting = await read_setting(session)
        if setting is not None and self.clock.follow(setting):
            self._turn_gate()

    async def follow(self) -> None:
        """Keep taking over what other processes of this service were told, until cancelled."""
        while True:
            try:
                await self.load()
            except Exception as error:
                _log.warning("clock not followed", error=type(error).__name__)
            await asyncio.sleep(FOLLOW_EVERY_S)

    async def stop(self, *, at: datetime) -> datetime:
        """Let the clock stand still, at this moment or where it is already; says where.

        The ordinary background work of this process rests from here on.
        """
        self._gate.close()
        try:
            await self._gate.emptied()
            async with self._database.begin(actor=_ACTOR) as transaction:
                stands_at = max(at, await self._present(transaction))
                setting = await keep_setting(transaction.session, at=stands_at, standing=True)
            self.clock.follow(setting)
        finally:
            self._turn_gate()
        return stands_at

    async def visit(self, *, at: datetime) -> Visit:
        """Set the clock to a moment and do what is due there, for a bounded time.

        Raises ClockNotStopped when the clock flows or is past it, and FeedUnheard.
        """
        await self._set(at)
        loop = asyncio.get_running_loop()
        until = loop.time() + _PIECE_S
        done, more = 0, True
        while more and loop.time() < until:
            came = await self._work(until)
            done += came
            more = came > 0
        # Its own news shall have their positions now: nobody may have read them yet.
        await sequence_all(self._database.engine)
        async with self._database.reading() as session:
            places = await read_places(session)
        return Visit(
            done=done,
            more=more,
            head=places.head,
            unsequenced=places.unsequenced,
            cursors={producer: places.cursors.get(producer, 0) for producer in self._subscribers},
            due={} if more else await self._due(at),
        )

    async def go(self, *, offset: timedelta) -> None:
        """Let the clock flow again, so far ahead of the machine's; nothing if it flows already."""
        async with self._database.begin(actor=_ACTOR) as transaction:
            setting = await read_setting(transaction.session, lock=True)
            if setting is not None and setting.standing and setting.at is not None:
                setting = await keep_setting(
                    transaction.session, at=setting.at, standing=False, offset=offset
                )
        if setting is not None:
            self.clock.follow(setting)
        self._turn_gate()

    async def _present(self, transaction: Transaction) -> datetime:
        """What the clock shows by the setting that is in the database now."""
        setting = await read_setting(transaction.session, lock=True)
        if setting is not None:
            self.clock.follow(setting)
        return self.clock.now()

    async def _set(self, at: datetime) -> None:
        if self.clock.setting.standing and self.clock.setting.at == at:
            return
        async with self._database.begin(actor=_ACTOR) as transaction:
            setting = await read_setting(transaction.session, lock=True)
            if setting is None or not setting.standing or setting.at is None or setting.at > at:
                raise ClockNotStopped
            if setting.at < at:
                setting = await keep_setting(transaction.session, at=at, standing=True)
        self.clock.follow(setting)
        self._turn_gate()

    def _turn_gate(self) -> None:
        if self.clock.setting.standing:
            self._gate.close()
        else:
            self._gate.open()

    async def _work(self, until: float) -> int:
        """One round of all jobs, in their order, and of all news; how much there was."""
        loop = asyncio.get_running_loop()

        def in_time() -> bool:
            return loop.time() < until

        done = 0
        for job in self._jobs:
            try:
                done += await run_due(job, database=self._database, go_on=in_time)
            except Exception as error:
                if is_transient(error):
                    raise
                # As in its own time: it is tried again at a later moment, and others go on.
                _log.exception("job failed", job=job.name)
        for producer in sorted(self._subscribers):
            done += await self._hear(producer, until)
        return done

    async def _hear(self, producer: str, until: float) -> int:
        count = 0
        try:
            while came := await self._subscribers[producer].pull():
                count += came
                if asyncio.get_running_loop().time() >= until:
                    break
        except (httpx.HTTPError, FeedRefused, FeedBroken) as error:
            _log.warning("feed is away", producer=producer, error=type(error).__name__)
            raise FeedUnheard(producer=producer) from error
        return count

    async def _due(self, at: datetime) -> dict[str, datetime]:
        found = {}
        for job in self._jobs:
            if job.next_due is None:
                continue
            async with self._database.reading() as session:
                due = await job.next_due(session, at)
            if due is not None and due <= at:
                _log.warning("a job's next moment is not after this one", job=job.name)
            elif due is not None:
                found[job.name] = due
        return found
