"""A move of the sandbox's clock: from one moment at which something falls due to the next.

Each moment is visited by all services before the next begins, so what is written there is the same
whether a day is asked for at a time or all days at once. ADR 0010.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog

from gateway.domain.test_clock import Patience
from gateway.store import test_clock as store
from gateway.store.test_clock import Advance
from shared.db import Database
from shared.kernel.clock import Clock
from shared.kernel.visits import Visit, at_rest, due_at, next_moment
from shared.service.timekeeper import ClockNotStopped

_log = structlog.get_logger()

Answer = TypeVar("Answer")

_LOOK_EVERY_S: Final = 0.5
_RETRY_MAX_S: Final = 5.0
#: A moment that has not come to rest after so many rounds never will.
_ROUNDS_MAX: Final = 5_000
_ACTOR: Final = "test_clock"


class Traveller(Protocol):
    """A service that takes part; `shared.service.timekeeper` says what each call does."""

    async def stop(self, *, at: datetime) -> datetime: ...

    async def visit(self, *, at: datetime) -> Visit: ...

    async def go(self, *, offset: timedelta) -> None: ...


@dataclass(frozen=True, kw_only=True)
class _Stay:
    """A moment at which everybody has come to rest."""

    visits: Mapping[str, Visit]
    #: Whether there was anything to do.
    fruitful: bool


class Journey:
    """Makes the moves that were asked for, one after another, whichever process they began in."""

    def __init__(
        self,
        *,
        database: Database,
        machine: Clock,
        travellers: Sequence[tuple[str, Traveller]],
        followed_within_s: float,
    ) -> None:
        self._database = database
        self._machine = machine
        self._travellers = travellers
        self._followed_within_s = followed_within_s
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Say that a move was asked for."""
        self._wake.set()

    async def run(self) -> None:
        """Look for moves to make until cancelled."""
        while True:
            try:
                await self.make_open()
            except Exception:
                _log.exception("the clock's move was interrupted")
            try:
                await asyncio.wait_for(self._wake.wait(), _LOOK_EVERY_S)
            except TimeoutError:
                continue
            self._wake.clear()

    async def make_open(self) -> bool:
        """Make the move that is open, to its end, if no other process is at it."""
        if await self._open() is None:
            return False
        async with store.moving(self._database) as ours:
            advance = await self._open() if ours else None
            if advance is None:
                return False
            await self._make(advance)
            return True

    async def _open(self) -> Advance | None:
        async with self._database.reading() as session:
            last = await store.last_advance(session)
        return None if last is None or last.settled else last

    async def _make(self, advance: Advance) -> None:
        at = await self._stop(advance)
        to_at = max(at, advance.to_at)
        # From here on no process still does anything at a time of its own.
        await asyncio.sleep(self._followed_within_s)
        patience = Patience()
        stay = await self._visit(advance, at=at)
        while at < to_at:
            due = next_moment(stay.visits, ignoring=patience.ignoring)
            at = to_at if due is None else min(due, to_at)
            named = due_at(stay.visits, at=at)
            stay = await self._visit(advance, at=at)
            for service, job in patience.note(named=named, at=at, fruitful=stay.fruitful):
                _log.warning("a job names moments and does nothing", service=service, job=job)
        await self._go(advance, at=at)

    async def _stop(self, advance: Advance) -> datetime:
        """Let all clocks stand at one moment: the latest that any of them shows."""
        at = advance.at
        while True:
            stands = [
                await self._patiently(advance, name, partial(one.stop, at=at))
                for name, one in self._travellers
            ]
            if set(stands) == {at}:
                return at
            at = max(stands)

    async def _visit(self, advance: Advance, *, at: datetime) -> _Stay:
        """Take everybody through one moment, again and again until it has come to rest."""
        visits: dict[str, Visit] = {}
        fruitful = False
        for _ in range(_ROUNDS_MAX):
            for name, one in self._travellers:
                visits[name] = await self._patiently(advance, name, partial(one.visit, at=at))
            fruitful |= any(visit.done for visit in visits.values())
            if at_rest(visits):
                break
        else:
            _log.warning("a moment does not come to rest", at=at.isoformat())
        await self._database.run(
            lambda transaction: store.note_moment(transaction.session, id=advance.id, at=at),
            actor=_ACTOR,
        )
        return _Stay(visits=visits, fruitful=fruitful)

    async def _go(self, advance: Advance, *, at: datetime) -> None:
        offset = at - self._machine.now()
        for name, one in self._travellers:
            await self._patiently(advance, name, partial(one.go, offset=offset))
        await asyncio.sleep(self._followed_within_s)
        await self._database.run(
            lambda transaction: store.settle_advance(transaction.session, id=advance.id),
            actor=_ACTOR,
        )

    async def _patiently(
        self, advance: Advance, name: str, call: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Ask a service until it answers: each call may be repeated, and nothing goes on without.

        Who looks at the clock meanwhile is told which service it is waiting for. Raises
        ClockNotStopped: then the move begins anew from where the clocks are.
        """
        pause_s = 0.1
        while True:
            try:
                return await call()
            except ClockNotStopped:
                raise
            except Exception as error:
                _log.warning("the clock waits", service=name, error=repr(error))
            await self._database.run(
                lambda transaction: store.note_waiting(
                    transaction.session, id=advance.id, service=name
                ),
                actor=_ACTOR,
            )
            await asyncio.sleep(pause_s)
            pause_s = min(_RETRY_MAX_S, pause_s * 2)
