"""The bugs that this suite exists to catch, each as somebody might have written it."""

from collections.abc import Mapping, Sequence

import orjson
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.contracts.envelope import CloudEvent
from shared.db import Database
from shared.events import doorbell, feed, relay, subscriber
from shared.events.applying import Handlers
from shared.events.cursor import Cursor, move_cursor
from shared.events.relay import channel_of
from shared.events.sequencer import Head
from shared.events.subscriber import Subscriber


async def naive_serial_cursor(patch: pytest.MonkeyPatch, *, producer: Database) -> None:
    """The position is the serial id, and readers take all that is above the last one they saw."""
    async with producer.engine.begin() as connection:
        await connection.execute(
            text(
                "create function number_at_once() returns trigger language plpgsql as"
                " $$ begin new.pos := new.id; return new; end $$"
            )
        )
        await connection.execute(
            text(
                "create trigger number_at_once before insert on outbox"
                " for each row execute function number_at_once()"
            )
        )

    async def newest(engine: AsyncEngine) -> Head:
        async with engine.begin() as connection:
            row = await connection.execute(
                text(
                    "update feed_head set pos = (select coalesce(max(pos), 0) from outbox)"
                    " returning epoch, pos"
                )
            )
            head = row.one()
            return Head(epoch=head.epoch, pos=head.pos)

    patch.setattr(feed, "sequence_all", newest)
    patch.setattr(relay, "sequence_all", newest)
    patch.setattr(subscriber, "_refuse_holes", lambda events, cursor: None)


def cursor_before_effects(patch: pytest.MonkeyPatch) -> None:
    """The cursor is saved first, the effects follow in a transaction of their own."""

    async def apply_batch(
        database: Database,
        *,
        cursor: Cursor,
        events: Sequence[CloudEvent],
        handlers: Handlers,
        service: str,
    ) -> None:
        last = events[-1]
        moved = Cursor(producer=cursor.producer, epoch=last.epoch, pos=last.pos, event_id=last.id)
        async with database.begin(actor="rig") as transaction:
            await move_cursor(transaction.session, old=cursor, new=moved, at=transaction.now)
        async with database.begin(actor="rig") as transaction:
            for event in events:
                await handlers[event.type](transaction, event)

    patch.setattr(subscriber, "apply_batch", apply_batch)


def effect_from_redis(patch: pytest.MonkeyPatch) -> None:
    """What arrives on Redis is applied as it comes."""

    async def listen(redis: Redis, *, subscribers: Mapping[str, Subscriber]) -> None:
        async with redis.pubsub() as pubsub:
            await pubsub.subscribe(*(channel_of(producer) for producer in subscribers))
            async for message in pubsub.listen():
                if message["type"] != "message" or b"specversion" not in message["data"]:
                    continue
                for event in map(CloudEvent.model_validate, orjson.loads(message["data"])):
                    for one in subscribers.values():
                        async with one._database.begin(actor="rig") as transaction:
                            await one._handlers[event.type](transaction, event)

    patch.setattr(doorbell, "listen", listen)
