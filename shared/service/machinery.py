"""What runs behind a service's doors: database, relay, subscribers, jobs; started and stopped."""

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from redis.asyncio import Redis

from shared.db import Database
from shared.events import doorbell
from shared.events.applying import Handlers
from shared.events.relay import Relay
from shared.events.subscriber import Subscriber
from shared.gate import Gate
from shared.http.client import InternalClient
from shared.http.tokens import TokenSigner
from shared.jobs import Job, run_job
from shared.kernel.clock import Clock, MovableClock
from shared.service.mode import settle_mode
from shared.service.timekeeper import Timekeeper
from shared.settings import ServiceSettings

_log = structlog.get_logger()

_STOP_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """One producer this service listens to: where it lives, and what to do on its events."""

    producer: str
    base_url: str
    handlers: Handlers


@dataclass(frozen=True, kw_only=True)
class Machinery:
    """The moving parts of one process."""

    service: str
    #: The one clock of this process.
    clock: Clock
    database: Database
    redis: Redis
    relay: Relay
    signer: TokenSigner
    #: By producer.
    subscribers: Mapping[str, Subscriber]
    jobs: Sequence[Job]
    #: What ordinary background work passes through; closed while a sandbox's clock stands still.
    gate: Gate
    #: Moves the clock. Only in a sandbox.
    timekeeper: Timekeeper | None

    @asynccontextmanager
    async def running(self, *, background: bool) -> AsyncIterator[None]:
        """Everything started, and stopped again at the end. Raises UnsafeDatabase and WrongMode."""
        await self.database.refuse_unless_durable()
        await settle_mode(self.database, "live" if self.timekeeper is None else "sandbox")
        tasks = []
        if self.timekeeper is not None:
            await self.timekeeper.load()
            tasks.append(asyncio.create_task(self.timekeeper.follow()))
        if background:
            tasks += self._start()
        # What start-up made lives as long as the process; the collector need not walk it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)
        _log.info("started")
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=_STOP_S)
            await self._close()
            _log.info("stopped")

    def _start(self) -> "list[asyncio.Task[None]]":
        work = [self.relay.run()]
        work += [subscriber.run() for subscriber in self.subscribers.values()]
        if self.subscribers:
            work.append(doorbell.listen(self.redis, subscribers=self.subscribers))
        work += [
            run_job(job, database=self.database, service=self.service, gate=self.gate)
            for job in self.jobs
        ]
        return [asyncio.create_task(one) for one in work]

    async def _close(self) -> None:
        for subscriber in self.subscribers.values():
            await subscriber.close()
        await self.redis.aclose()
        await self.database.close()


def assemble(
    *,
    service: str,
    settings: ServiceSettings,
    clock: Clock,
    subscriptions: Sequence[Subscription] = (),
    jobs: Sequence[Job] = (),
) -> Machinery:
    """Make the parts and connect them; nothing runs yet."""
    movable = MovableClock(clock) if settings.mode == "sandbox" else None
    database = Database(
        settings.database_url.get_secret_value(),
        service=service,
        clock=movable or clock,
        pool_size=settings.pool_size,
    )
    relay = Relay(service=service, database=database, redis=connect_redis(settings.redis_url))
    database.on_events = relay.wake
    signer = TokenSigner(issuer=service, private_key=settings.internal_key.get_secret_value())
    gate = Gate()
    subscribers = {
        one.producer: _subscriber(one, database=database, signer=signer, gate=gate)
        for one in subscriptions
    }
    timekeeper = None
    if movable is not None:
        timekeeper = Timekeeper(
            database=database, clock=movable, gate=gate, jobs=jobs, subscribers=subscribers
        )
    return Machinery(
        service=service,
        clock=database.clock,
        database=database,
        redis=relay.redis,
        relay=relay,
        signer=signer,
        subscribers=subscribers,
        jobs=jobs,
        gate=gate,
        timekeeper=timekeeper,
    )


def _subscriber(
    to: Subscription, *, database: Database, signer: TokenSigner, gate: Gate
) -> Subscriber:
    return Subscriber(
        service=signer.issuer,
        producer=to.producer,
        client=InternalClient(base_url=to.base_url, audience=to.producer, signer=signer),
        database=database,
        handlers=to.handlers,
        gate=gate,
    )


def connect_redis(url: str) -> Redis:
    """A Redis client that gives up soon: everything that uses it can do without."""
    redis: Redis = Redis.from_url(
        url,
        socket_connect_timeout=2,
        socket_timeout=5,
        socket_keepalive=True,
        health_check_interval=15,
    )
    return redis
