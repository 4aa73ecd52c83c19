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
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import Database, is_transient
from shared.events.log import read_events
from shared.events.sequencer import Head, sequence_all
from shared.telemetry import FEED_HEAD

_log = structlog.get_logger()

SWEEP_S: Final = 0.25
HEARTBEAT_S: Final = 2.0
_PUBLISHED_AT_ONCE: Final = 500
_BACKOFF_S: Final = 1.0
#: What is committed within this time is announced together; under load it spares most of the work.
_GATHERING_S: Final = 0.02


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
            await asyncio.sleep(_GATHERING_S)
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
            await self._publish(_heartbeat(head))

    async def _announce(self, *, after: int, head: Head) -> None:
        """Publish the new events in full, as one CloudEvents batch; the feed has the rest."""
        async with self._engine.connect() as connection:
            events = await read_events(
                connection,
                service=self._service,
                epoch=head.epoch,
                after=after,
                head=head.pos,
                limit=_PUBLISHED_AT_ONCE,
            )
        await self._publish(f"[{','.join(events)}]" if events else _heartbeat(head))

    async def _publish(self, message: str) -> None:
        """Ring; a dead Redis costs nothing but the subscribers' timer."""
        self._announced_at = self._loop_time()
        try:
            await self.redis.publish(channel_of(self._service), message)
        except (RedisError, OSError, TimeoutError) as error:
            _log.debug("redis is away", error=type(error).__name__)

    def _heartbeat_due(self) -> bool:
        return self._loop_time() - self._announced_at >= HEARTBEAT_S

    def _loop_time(self) -> float:
        return asyncio.get_running_loop().time()


def _heartbeat(head: Head) -> str:
    return f'{{"epoch":"{head.epoch}","head":{head.pos}}}'
