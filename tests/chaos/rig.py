"""The rig: writers, consumers, torments, and the verdict over what came of it."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.db import Database
from shared.kernel.clock import SystemClock
from shared.settings import async_url, encode_key
from shared.sql import execute
from tests.chaos.rig_service import (
    CONSUMER,
    PRODUCER,
    SUBJECTS,
    ConsumerSettings,
    ProducerSettings,
    StepTaken,
    build_consumer,
    build_producer,
    prepare,
)
from tests.support.databases import Databases
from tests.support.service import key_of, trusted_keys
from tests.support.serving import serving
from tests.support.waiting import until


class _RolledBack(Exception):
    """A writer changes its mind."""


@dataclass
class Rig:
    """One producer's log and the databases of its consumers."""

    producer: Database
    consumers: Sequence[Database]
    producer_url: str
    consumer_urls: Sequence[str]
    #: Numbers whose transaction was acknowledged, and those whose fate the writer did not learn.
    written: set[int] = field(default_factory=set)
    uncertain: set[int] = field(default_factory=set)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def write(self, *, events: int, writers: int) -> None:
        """Write events from many concurrent writers; one transaction in twenty rolls back."""
        share = events // writers
        await asyncio.gather(*(self._write_some(share) for _ in range(writers)))

    async def _write_some(self, count: int) -> None:
        left = count
        while left > 0:
            numbers = [next(self._numbers) for _ in range(random.randint(1, 3))]
            try:
                await self._write_once(numbers)
                self.written.update(numbers)
                left -= len(numbers)
            except _RolledBack:
                continue
            except (DBAPIError, OSError):
                # Died at its commit, perhaps: it may or may not be there, but not in part.
                self.uncertain.update(numbers)

    async def _write_once(self, numbers: Sequence[int]) -> None:
        subject = f"subject-{random.randint(1, SUBJECTS)}"
        async with self.producer.begin(actor="rig") as transaction:
            for number in numbers:
                step = await execute(
                    transaction.session,
                    text("update steps set step = step + 1 where subject = :s returning step"),
                    {"s": subject},
                )
                data = StepTaken(number=number, subject=subject, step=step.scalar_one())
                transaction.record(data, subject=subject)
            if random.random() < 0.05:
                raise _RolledBack

    async def caught_up(self) -> bool:
        """Whether everything has a position and every consumer stands at the head."""
        pending = await scalar(self.producer, "select count(*) from outbox where pos is null")
        head = await scalar(self.producer, "select pos from feed_head")
        cursors = [
            await scalar(one, "select coalesce(max(pos), 0) from event_cursors")
            for one in self.consumers
        ]
        return pending == 0 and all(pos == head for pos in cursors)

    async def settle(self, *, within_s: float = 300) -> None:
        """Wait until all is applied."""
        await until(self.caught_up, what="the consumers to reach the head", within_s=within_s)

    async def verdict(self) -> list[str]:
        """All that is wrong; nothing when every effect happened once and in order."""
        wrong = await self._log_faults()
        for place, consumer in enumerate(self.consumers):
            wrong += [f"consumer {place}: {fault}" for fault in await self._faults(consumer)]
        return wrong

    async def _log_faults(self) -> list[str]:
        rows = await all_rows(
            self.producer,
            "select count(*) as n, min(pos) as low, max(pos) as high,"
            " count(distinct pos) as distinct_pos from outbox",
        )
        log, wrong = rows[0], []
        if log.n and (log.low, log.high, log.distinct_pos) != (1, log.n, log.n):
            wrong.append(f"positions are not 1..n without a hole: {log}")
        numbers = {
            row.number
            for row in await all_rows(
                self.producer, "select cast(data->>'number' as bigint) as number from outbox"
            )
        }
        if self.written - numbers:
            wrong.append(f"{len(self.written - numbers)} acknowledged events are not in the log")
        if numbers - self.written - self.uncertain:
            wrong.append("events that nobody wrote")
        return wrong

    async def _faults(self, consumer: Database) -> list[str]:
        wrong = []
        applied = await all_rows(
            consumer, "select number, count(*) as times from applied group by number"
        )
        log = {
            row.number
            for row in await all_rows(
                self.producer, "select cast(data->>'number' as bigint) as number from outbox"
            )
        }
        seen = {row.number for row in applied}
        if log - seen:
            wrong.append(f"{len(log - seen)} effects are missing")
        if seen - log:
            wrong.append(f"{len(seen - log)} effects come from nowhere")
        if twice := [row.number for row in applied if row.times > 1]:
            wrong.append(f"{len(twice)} effects happened more than once")
        disorder = await scalar(
            consumer,
            "select count(*) from (select step, lag(step) over (partition by subject order by id)"
            " as before from applied) as a where before >= step",
        )
        if disorder:
            wrong.append(f"{disorder} effects out of their subject's order")
        return wrong


@asynccontextmanager
async def rig(databases: Databases, *, consumers: int = 2) -> AsyncIterator[Rig]:
    """A rig on fresh databases."""
    producer_url = databases.empty("rig_producer")
    consumer_urls = [databases.empty("rig_consumer") for _ in range(consumers)]
    for url in (producer_url, *consumer_urls):
        await prepare(url)
    clock = SystemClock()
    producer = Database(async_url(producer_url), service="rig", clock=clock, pool_size=20)
    readers = [Database(async_url(url), service="rig", clock=clock) for url in consumer_urls]
    try:
        yield Rig(
            producer=producer,
            consumers=readers,
            producer_url=producer_url,
            consumer_urls=consumer_urls,
        )
    finally:
        for database in (producer, *readers):
            await database.close()


@asynccontextmanager
async def running_rig(
    databases: Databases, *, redis_url: str, consumers: int = 2, replicas: int = 2
) -> AsyncIterator[Rig]:
    """A rig whose producer and consumers run in this process, over real HTTP."""
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(rig(databases, consumers=consumers))
        settings = common_settings(PRODUCER, made.producer_url, redis_url)
        app = build_producer(ProducerSettings(**settings))
        address = await stack.enter_async_context(serving(app))
        # The writers' database handle is another one than the service's: its relay gets no signal,
        # as when the writer is another replica.
        for url in made.consumer_urls:
            for _ in range(replicas):
                own = common_settings(CONSUMER, url, redis_url)
                consumer = build_consumer(ConsumerSettings(**own, producer_url=address))
                await stack.enter_async_context(serving(consumer))
        yield made


def common_settings(service: str, database_url: str, redis_url: str) -> dict[str, Any]:
    """Settings of one rig service."""
    return {
        "database_url": database_url,
        "redis_url": redis_url,
        "internal_key": encode_key(key_of(service)),
        "internal_trusted_keys": trusted_keys(),
        "log_level": "ERROR",
    }


async def all_rows(database: Database, statement: str) -> Sequence[Any]:
    """Rows of a statement."""
    async with database.reading() as session:
        return (await execute(session, text(statement))).all()


async def scalar(database: Database, statement: str) -> Any:
    """The single value of a statement."""
    async with database.reading() as session:
        return (await execute(session, text(statement))).scalar_one()
