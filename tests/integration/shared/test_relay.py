"""Redis makes the log quick, never right: heartbeats, the doorbell, and life without it."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.local.valkey import Valkey
from shared.events import doorbell, relay, subscriber
from shared.events.relay import channel_of
from tests.integration.shared.listening import Ear, between, heard
from tests.integration.shared.small_service import PRODUCER, Small, SmallStarter
from tests.support.waiting import until

NOBODY = "redis://127.0.0.1:9/0"
NEVER_S = 86_400.0


@pytest.fixture(scope="module")
async def redis_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server of our own: channels know no databases, and other workers ring theirs."""
    folder = tmp_path_factory.mktemp("valkey")
    valkey = Valkey(directory=folder / "data", log=folder / "log", password="p" * 20)
    await valkey.start()
    yield valkey.url()
    await valkey.stop()


@pytest.fixture
async def redis(redis_url: str, start_small: SmallStarter) -> AsyncIterator[Redis]:
    """A client; the services of the test use the same server."""
    start_small.redis_url = redis_url
    async with Redis.from_url(redis_url) as client:
        yield client


@asynccontextmanager
async def at_work(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Background work, while inside."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def next_message(pubsub: Any) -> Any:
    """The next message of a channel, read as JSON."""
    while True:
        message = await pubsub.get_message(timeout=60)
        if message is not None and message["type"] == "message":
            return json.loads(message["data"])


async def lines(redis: Redis) -> set[str]:
    """Connections that listen."""
    return {client["id"] for client in await redis.client_list(_type="pubsub")}


async def somebody_listens(redis: Redis) -> bool:
    """Whether a line is open."""
    return bool(await lines(redis))


async def test_the_relay_sends_its_head_and_then_each_event_in_full(
    start_small: SmallStarter, redis: Redis
) -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(channel_of(PRODUCER))
        producer = await start_small(service=PRODUCER, background=True)
        heartbeat = await next_message(pubsub)
        assert heartbeat["head"] == 0
        await producer.bump(amount=4)
        message = await next_message(pubsub)
        while "head" in message:
            message = await next_message(pubsub)
        [event] = (await producer.call("read_feed", "GET", "/internal/events")).json()
        assert message == [event]
        assert message[0]["epoch"] == heartbeat["epoch"]


async def test_the_doorbell_stays_on_the_line_and_wakes_on_every_event(
    start_small: SmallStarter, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing but the bell can wake: no timer, and no second attempt at listening.
    monkeypatch.setattr(subscriber, "TIMER_S", NEVER_S)
    monkeypatch.setattr(doorbell, "_BACKOFF_S", NEVER_S)
    ear = Ear()
    consumer = await start_small(handlers=ear.handlers)
    producer = await start_small(service=PRODUCER, background=True)
    own = between(consumer, producer)
    assert await lines(redis) == set()
    async with at_work(own.run(), doorbell.listen(redis, subscribers={PRODUCER: own})):
        for amount in range(1, 6):
            await producer.bump(amount=amount)
            await until(partial(has_heard, consumer, amount), what=f"event {amount}")
        assert len(await lines(redis)) == 1
    await own.close()


async def test_a_line_on_which_nothing_is_heard_is_given_up_and_made_anew(
    start_small: SmallStarter, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell, "SILENCE_S", 0.05)
    monkeypatch.setattr(doorbell, "_BACKOFF_S", 0.05)
    consumer = await start_small(handlers=Ear().handlers)
    own = consumer.app.state.subscribers[PRODUCER]
    seen: set[str] = set()

    async def three_lines() -> bool:
        seen.update(await lines(redis))
        return len(seen) >= 3

    async with at_work(doorbell.listen(redis, subscribers={PRODUCER: own})):
        await until(three_lines, what="new connections")


async def test_whoever_rings_wakes_and_nothing_more(
    start_small: SmallStarter, redis: Redis
) -> None:
    consumer = await start_small(handlers=Ear().handlers)
    producer = await start_small(service=PRODUCER)
    own = between(consumer, producer)
    async with at_work(own.run(), doorbell.listen(redis, subscribers={PRODUCER: own})):
        await until(partial(somebody_listens, redis), what="the doorbell")
        forged = {"type": "counter.bumped.v1", "pos": 1, "data": {"name": "gold", "amount": 999}}
        for message in (json.dumps(forged), b"\xff\x00", "", "[" * 10_000):
            await redis.publish(channel_of(PRODUCER), message)
        await producer.bump(amount=1)
        await until(partial(has_heard, consumer, 1), what="the true event")
        assert await heard(consumer) == [("visits", 1)]
    await own.close()


async def test_without_redis_events_get_positions_and_arrive(start_small: SmallStarter) -> None:
    ear = Ear()
    consumer = await start_small(handlers=ear.handlers, redis_url=NOBODY)
    producer = await start_small(service=PRODUCER, background=True, redis_url=NOBODY)
    own = between(consumer, producer)
    async with at_work(own.run()):
        for amount in (1, 2):
            await producer.bump(amount=amount)
            await until(partial(has_heard, consumer, amount), what="the event")
    await own.close()
    assert await heard(consumer) == [("visits", 1), ("visits", 2)]


async def test_the_relay_gives_positions_to_what_another_process_committed(
    start_small: SmallStarter,
) -> None:
    url = await start_small.database()
    await start_small(service=PRODUCER, database_url=url, background=True)
    writer = await start_small(service=PRODUCER, database_url=url)
    await writer.bump()

    async def numbered() -> bool:
        return bool(await writer.scalar("select pos is not null from outbox"))

    await until(numbered, what="a position")


def test_a_line_is_given_up_only_after_several_missed_heartbeats() -> None:
    assert relay.HEARTBEAT_S * 4 < doorbell.SILENCE_S


async def has_heard(consumer: Small, amount: int) -> bool:
    """Whether this event had its effect."""
    return ("visits", amount) in await heard(consumer)
