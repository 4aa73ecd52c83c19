"""Services killed with -9 at random, in real processes, under load: nothing lost, nothing twice."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.rig import Rig, common_settings, rig
from tests.chaos.rig_service import CONSUMER, PRODUCER, delay_commits
from tests.servers import Servers
from tests.support.databases import Databases
from tests.support.processes import ServerProcess

EVENTS = 6_000
REPLICAS = 3
KILLS = 12
DEADLY_S = 0.5


async def test_producer_and_consumers_killed_at_random_lose_and_repeat_nothing(
    databases: Databases, servers: Servers, tmp_path: Path
) -> None:
    async with rig(databases, consumers=1) as made:
        await delay_commits(made.producer, up_to_ms=50)
        async with processes_of(made, redis_url=servers.redis_url(2), folder=tmp_path) as running:
            killing = asyncio.create_task(kill_at_random(running, times=KILLS))
            await made.write(events=EVENTS, writers=16)
            await killing
            await made.settle()
        assert await made.verdict() == []


async def kill_at_random(running: Sequence[ServerProcess], *, times: int) -> None:
    """Kill one process after another and start each again, sometimes before it is up; then all."""
    for _ in range(times):
        victim = random.choice(running)
        await asyncio.sleep(random.uniform(0, DEADLY_S))
        await victim.kill()
        await victim.start(ready=random.random() < 0.5)
    for process in running:
        await process.kill()
        await process.start()


@asynccontextmanager
async def processes_of(
    made: Rig, *, redis_url: str, folder: Path
) -> AsyncIterator[Sequence[ServerProcess]]:
    """One producer and some replicas of a consumer, each in a process of its own."""
    producer = ServerProcess(
        app="tests.chaos.rig_service:producer",
        environment=_environment(PRODUCER, "RIG_PRODUCER", made.producer_url, redis_url),
        log=folder / "producer.log",
    )
    consumers = [
        ServerProcess(
            app="tests.chaos.rig_service:consumer",
            environment={
                **_environment(CONSUMER, "RIG_CONSUMER", made.consumer_urls[0], redis_url),
                "RIG_PRODUCER_URL": producer.url,
            },
            log=folder / f"consumer-{place}.log",
        )
        for place in range(REPLICAS)
    ]
    running = [producer, *consumers]
    try:
        for process in running:
            await process.start()
        yield running
    finally:
        for process in running:
            await process.kill()


def _environment(service: str, prefix: str, database_url: str, redis_url: str) -> dict[str, str]:
    given = common_settings(service, database_url, redis_url)
    return {
        f"{prefix}_DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "INTERNAL_KEY": given["internal_key"],
        "INTERNAL_TRUSTED_KEYS": given["internal_trusted_keys"],
        "LOG_LEVEL": "WARNING",
    }
