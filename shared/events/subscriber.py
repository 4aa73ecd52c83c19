"""The subscriber: pulls one producer's feed and applies it, each effect once, in order.

One code path applies events, whatever woke it: start, doorbell, timer. Redis is never believed.
"""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Final

import httpx
import structlog
from pydantic import TypeAdapter, ValidationError

from shared.contracts.envelope import CloudEvent
from shared.db import Database, is_transient
from shared.events.applying import Handlers, apply_batch
from shared.events.cursor import Cursor, CursorMoved, read_cursor
from shared.gate import Gate
from shared.http.client import InternalClient
from shared.telemetry import EVENT_LAG, SUBSCRIPTION_HEALTHY

_log = structlog.get_logger()

TIMER_S: Final = 1.0
_LIMIT: Final = 500
#: Short, for it is what a consumer may lag behind after everybody is back.
_BACKOFF_MAX_S: Final = 5.0
_batch = TypeAdapter(list[CloudEvent])


class FeedRefused(Exception):
    """The producer says our history and its own differ, or that it no longer keeps what we need.

    An operator decides: rewind the subscription (see OPERATIONS).
    """


class FeedBroken(Exception):
    """The producer's answer breaks the protocol: a hole, a wrong order, a foreign epoch."""


class Subscriber:
    """One producer's events, applied to one service's database. Any number of replicas may run."""

    def __init__(
        self,
        *,
        service: str,
        producer: str,
        client: InternalClient,
        database: Database,
        handlers: Handlers,
        gate: Gate | None = None,
    ) -> None:
        self.producer = producer
        self._service = service
        self._client = client
        self._database = database
        self._handlers = handlers
        self._gate = gate or Gate()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Say that there may be news."""
        self._wake.set()

    def through(self, client: InternalClient) -> "Subscriber":
        """The same subscription, over another connection."""
        return Subscriber(
            service=self._service,
            producer=self.producer,
            client=client,
            database=self._database,
            handlers=self._handlers,
            gate=self._gate,
        )

    async def close(self) -> None:
        """Close the connection to the producer."""
        await self._client.close()

    async def run(self) -> None:
        """Pull and apply until cancelled; back off while the producer or the database is away."""
        failures = 0
        while True:
            async with self._gate.passing():
                failures = await self._catch_up(failures)
            await self._rest(failures)

    async def _catch_up(self, failures: int) -> int:
        """Pull until there is no more; says how often in a row that has failed by now."""
        try:
            while await self.pull() and self._gate.is_open():
                failures = 0
        except Exception as error:
            self._healthy(False)
            self._complain(error)
            return failures + 1
        self._healthy(True)
        return 0

    async def pull(self) -> int:
        """Fetch one batch, apply it, and say how many events the cursor moved by."""
        async with self._database.reading() as session:
            cursor = await read_cursor(session, producer=self.producer)
        events, head = await self._fetch(cursor)
        EVENT_LAG.labels(self._service, self.producer).set(head - cursor.pos)
        if not events:
            return 0
        try:
            await apply_batch(
                self._database,
                cursor=cursor,
                events=events,
                handlers=self._handlers,
                service=self._service,
            )
        except CursorMoved:
            _log.debug("another replica was quicker", producer=self.producer)
        return len(events)

    async def _fetch(self, cursor: Cursor) -> tuple[Sequence[CloudEvent], int]:
        params: dict[str, str | int | float] = {
            "after": cursor.pos,
            "limit": _LIMIT,
        }
        if cursor.event_id is not None:
            params["after_id"] = str(cursor.event_id)
        if cursor.epoch is not None:
            params["epoch"] = str(cursor.epoch)
        answer = await self._client.get("/internal/events", operation="read_feed", params=params)
        if answer.status_code in (httpx.codes.CONFLICT, httpx.codes.GONE):
            raise FeedRefused(answer.status_code)
        answer.raise_for_status()
        events = _batch.validate_json(answer.content)
        _refuse_holes(events, cursor)
        return events, int(answer.headers["Feed-Head"])

    async def _rest(self, failures: int) -> None:
        """Until woken, or the timer; longer and deaf to the bell while failing."""
        if failures:
            pause = min(_BACKOFF_MAX_S, TIMER_S * 2 ** min(failures - 1, 5))
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
        else:
            with contextlib.suppress(TimeoutError):
                pause = TIMER_S * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret
                await asyncio.wait_for(self._wake.wait(), pause)
        self._wake.clear()

    def _healthy(self, well: bool) -> None:
        SUBSCRIPTION_HEALTHY.labels(self._service, self.producer).set(well)

    def _complain(self, error: Exception) -> None:
        away = isinstance(error, httpx.HTTPError) or is_transient(error)
        if away:
            _log.warning("feed is away", producer=self.producer, error=type(error).__name__)
        elif isinstance(error, FeedRefused):
            _log.error("feed refuses our cursor; rewind it", producer=self.producer)
        elif isinstance(error, FeedBroken | ValidationError):
            _log.error("feed breaks the protocol", producer=self.producer, error=str(error)[:500])
        else:
            _log.error("subscriber failed", producer=self.producer, exc_info=error)


def _refuse_holes(events: Sequence[CloudEvent], cursor: Cursor) -> None:
    for expected, event in enumerate(events, start=cursor.pos + 1):
        if event.pos != expected:
            raise FeedBroken(f"position {event.pos} where {expected} should stand")
        if cursor.epoch is not None and event.epoch != cursor.epoch:
            raise FeedBroken("events of another epoch")
