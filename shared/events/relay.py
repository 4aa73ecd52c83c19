"""The relay: gives positions soon after commit, rings the doorbell, sends the heartbeat.

Nothing depends on it for correctness: the feed sequences before it reads, and subscribers pull on
a timer. It only makes the system quick. Any number of replicas may run one.
"""

import asyncio
import contextlib
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import Database, is_transient
from shared.events.feed import to_cloud_event
from shared.events.sequencer import Head, sequence_all
from shared.tables import outbox
from shared.telemetry import FEED_HEAD

_log = structlog.get_logger()

SWEEP_S: Final = 0.25
HEARTBEAT_S: Final = 2.0
_PUBLISHED_AT_ONCE: Final = 500
_BACKOFF_S: Final = 1.0


def channel_of(service: str) -> str:
    """The Redis channel on which a service's events are announced."""
    return f"huitou.events.{service}"


class Relay:
    """Runs beside one service's outbox."""

    def __init__(self, *, service: str, database: Database, redis: Redis) -> None:
        self._service = service
        self._engine: AsyncEngine = database.engine
        self.redis = redis
        self._wake = asyncio.Event()
        #: Set whenever the head moved; long-polling feed readers wait on it.
        self.moved = asyncio.Condition()
        self._head: Head | None = None
        self._announced_at = 0.0

    def wake(self) -> None:
        """Say that events were committed just now."""
        self._wake.set()

    async def run(self) -> None:
        """Sequence and announce until cancelled."""
        while True:
            try:
                await self._sweep()
            except Exception as error:
                if not is_transient(error):
                    _log.exception("relay failed")
                await asyncio.sleep(_BACKOFF_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), SWEEP_S)
            self._wake.clear()

    async def _sweep(self) -> None:
        before = self._head
        head = await sequence_all(self._engine)
        self._head = head
        FEED_HEAD.labels(self._service).set(head.pos)
        moved = before is None or before.pos != head.pos or before.epoch != head.epoch
        if moved:
            async with self.moved:
                self.moved.notify_all()
        if before is not None and moved:
            await self._announce(after=before.pos, head=head)
        elif self._heartbeat_due():
            await self._publish([_heartbeat(head)])

    async def _announce(self, *, after: int, head: Head) -> None:
        """Publish the new events in full, at most a batch: the feed has the rest."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                select(outbox)
                .where(outbox.c.pos > after, outbox.c.pos <= head.pos)
                .order_by(outbox.c.pos)
                .limit(_PUBLISHED_AT_ONCE)
            )
            events = [to_cloud_event(row, service=self._service, epoch=head.epoch) for row in rows]
        await self._publish([event.model_dump_json() for event in events] or [_heartbeat(head)])

    async def _publish(self, messages: list[str]) -> None:
        """Ring; a dead Redis costs nothing but the subscribers' timer."""
        self._announced_at = self._loop_time()
        try:
            async with self.redis.pipeline(transaction=False) as pipeline:
                for message in messages:
                    pipeline.publish(channel_of(self._service), message)
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            _log.debug("redis is away", error=type(error).__name__)

    def _heartbeat_due(self) -> bool:
        return self._loop_time() - self._announced_at >= HEARTBEAT_S

    def _loop_time(self) -> float:
        return asyncio.get_running_loop().time()


def _heartbeat(head: Head) -> str:
    return f'{{"epoch":"{head.epoch}","head":{head.pos}}}'
