"""The doorbell: hears on Redis that a producer has news and wakes the subscriber."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.events.relay import channel_of
from shared.events.subscriber import Subscriber

_log = structlog.get_logger()

#: Five missed heartbeats: the connection may be half open, which redis-py never notices by itself.
SILENCE_S: Final = 10.0
_BACKOFF_S: Final = 1.0


async def listen(redis: Redis, *, subscribers: Mapping[str, Subscriber]) -> None:
    """Wake subscribers by producer until cancelled; rebuild the connection when it falls silent."""
    by_channel = {channel_of(producer): one for producer, one in subscribers.items()}
    while True:
        try:
            await _listen_once(redis, by_channel)
        except (RedisError, OSError, TimeoutError) as error:
            _log.debug("doorbell is away", error=type(error).__name__)
        except Exception:
            # Whatever a broken or hostile Redis makes of us, the next attempt may go well.
            _log.exception("doorbell failed")
        await asyncio.sleep(_BACKOFF_S)


async def _listen_once(redis: Redis, by_channel: Mapping[str, Subscriber]) -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(*by_channel)
        # Whatever rang before we listened is lost: look once for each.
        for subscriber in by_channel.values():
            subscriber.wake()
        now = asyncio.get_running_loop().time
        heard_at = now()
        while (patience := heard_at + SILENCE_S - now()) > 0:
            # None is no sign of silence: redis-py also gives it for what it keeps to itself.
            message = await pubsub.get_message(timeout=patience)
            if message is not None and message["type"] == "message":
                heard_at = now()
                by_channel[_name(message["channel"])].wake()
        raise TimeoutError("no heartbeat")


def _name(channel: str | bytes) -> str:
    return channel.decode() if isinstance(channel, bytes) else channel
