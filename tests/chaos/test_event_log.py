"""Every effect happens once and in order: with late commits, without or with a hostile Redis."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.local.valkey import Valkey
from shared.events.relay import channel_of
from shared.events.subscriber import Subscriber
from tests.chaos import planted_bugs
from tests.chaos.rig import running_rig
from tests.chaos.rig_service import PRODUCER, delay_commits
from tests.servers import Servers
from tests.support.databases import Databases

NOBODY = "redis://127.0.0.1:9/0"
DELAY_MS = 50
ROUNDS = 8


async def test_20000_events_of_16_writers_that_commit_late_are_each_applied_once(
    databases: Databases, servers: Servers
) -> None:
    async with running_rig(databases, redis_url=servers.redis_url(1), consumers=3) as rig:
        await delay_commits(rig.producer, up_to_ms=DELAY_MS)
        await rig.write(events=20_000, writers=16)
        await rig.settle()
        assert await rig.verdict() == []
        assert len(rig.written) >= 20_000 - 16


async def test_without_redis_every_effect_still_happens_once(databases: Databases) -> None:
    async with running_rig(databases, redis_url=NOBODY) as rig:
        await delay_commits(rig.producer, up_to_ms=DELAY_MS)
        await rig.write(events=20_000, writers=16)
        await rig.settle()
        assert await rig.verdict() == []


async def test_a_redis_that_restarts_drops_repeats_and_reorders_changes_nothing(
    databases: Databases, tmp_path: Path
) -> None:
    async with (
        own_valkey(tmp_path) as valkey,
        running_rig(databases, redis_url=valkey.url()) as rig,
    ):
        await delay_commits(rig.producer, up_to_ms=DELAY_MS)
        async with tormented(valkey):
            await rig.write(events=6_000, writers=16)
        await rig.settle()
        assert await rig.verdict() == []


async def test_replicas_that_die_at_any_await_lose_and_repeat_nothing(
    databases: Databases, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    peace = dying(monkeypatch)
    async with running_rig(databases, redis_url=servers.redis_url(1), replicas=3) as rig:
        await delay_commits(rig.producer, up_to_ms=DELAY_MS)
        await rig.write(events=6_000, writers=16)
        peace.set()
        await rig.settle()
        assert await rig.verdict() == []


class TestThePlantedBugIsCaught:
    """Each of these runs the same torments over a broken log and must find it broken."""

    async def test_naive_serial_cursor(
        self, databases: Databases, servers: Servers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with running_rig(databases, redis_url=servers.redis_url(1)) as rig:
            await planted_bugs.naive_serial_cursor(monkeypatch, producer=rig.producer)
            await delay_commits(rig.producer, up_to_ms=DELAY_MS)
            # A reader that comes by seldom, on a busy machine, may be lucky; not for long.
            for _ in range(ROUNDS):
                await rig.write(events=1_500, writers=16)
                await rig.settle()
                if any("effects are missing" in fault for fault in await rig.verdict()):
                    break
            else:
                pytest.fail("the serial cursor was not caught")

    async def test_cursor_saved_before_the_effects(
        self, databases: Databases, servers: Servers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        planted_bugs.cursor_before_effects(monkeypatch)
        peace = dying(monkeypatch)
        async with running_rig(databases, redis_url=servers.redis_url(1)) as rig:
            await rig.write(events=3_000, writers=16)
            peace.set()
            await rig.settle()
            assert any("effects are missing" in fault for fault in await rig.verdict())

    async def test_effect_applied_straight_from_a_redis_message(
        self, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        planted_bugs.effect_from_redis(monkeypatch)
        async with (
            own_valkey(tmp_path) as valkey,
            running_rig(databases, redis_url=valkey.url()) as rig,
        ):
            await rig.write(events=1_000, writers=16)
            await rig.settle()
            assert any("more than once" in fault for fault in await rig.verdict())


@asynccontextmanager
async def own_valkey(folder: Path) -> AsyncIterator[Valkey]:
    """A Valkey of the test's own, to be mistreated."""
    valkey = Valkey(directory=folder / "valkey", log=folder / "valkey.log", password="p" * 20)
    await valkey.start()
    try:
        yield valkey
    finally:
        await valkey.stop()


@asynccontextmanager
async def tormented(valkey: Valkey) -> AsyncIterator[None]:
    """While inside: messages are repeated and reordered, connections cut, the server killed."""
    tasks = [asyncio.create_task(torment(valkey)) for torment in (_repeat, _cut, _kill)]
    try:
        yield
    finally:
        await ended(*tasks)
        if not valkey.alive:
            await valkey.start()


async def ended(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel until they are done: before Python 3.12 `asyncio.wait_for`, which drivers use, may
    swallow a cancellation that comes as what it waits for is ready.
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=1)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(valkey: Valkey) -> None:
    """Send what was heard again, shuffled, with forgeries in between."""
    heard: list[bytes] = []
    async with Redis.from_url(valkey.url()) as redis:
        while True:
            with suppress(RedisError, OSError):
                async with redis.pubsub() as pubsub:
                    await pubsub.subscribe(channel_of(PRODUCER))
                    async for message in pubsub.listen():
                        if message["type"] == "message":
                            heard = [*heard[-50:], message["data"]]
                        if random.random() < 0.1:
                            forged = b'{"epoch":"00000000-0000-0000-0000-000000000000","head":9}'
                            for again in (*random.sample(heard, len(heard) // 10), forged, b"\xff"):
                                await redis.publish(channel_of(PRODUCER), again)
            await asyncio.sleep(0.05)


async def _cut(valkey: Valkey) -> None:
    """Drop every subscriber's connection, and with it what was under way."""
    async with Redis.from_url(valkey.url()) as redis:
        while True:
            await asyncio.sleep(random.uniform(0.1, 0.6))
            with suppress(RedisError, OSError):
                await redis.client_kill_filter(_type="pubsub")


async def _kill(valkey: Valkey) -> None:
    while True:
        await asyncio.sleep(random.uniform(0.5, 2))
        await valkey.kill()
        await asyncio.sleep(random.uniform(0, 1))
        await valkey.start()


def dying(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let subscribers die at whatever await they stand, and come back, until peace is set."""
    run: Callable[[Subscriber], Awaitable[None]] = Subscriber.run
    peace = asyncio.Event()

    async def run_and_die(self: Subscriber) -> None:
        while not peace.is_set():
            life = asyncio.ensure_future(run(self))
            try:
                await asyncio.wait([life], timeout=random.uniform(0.02, 0.4))
            finally:
                await ended(life)
        await run(self)

    monkeypatch.setattr(Subscriber, "run", run_and_die)
    return peace
