"""A consumer of counters: what it hears, how it is made deaf, and events made by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid5

import httpx
from sqlalchemy import text

from shared.contracts.envelope import CloudEvent
from shared.db import Transaction
from shared.events.applying import Handlers, apply_batch, on
from shared.events.cursor import read_cursor
from shared.events.subscriber import Subscriber
from shared.http.client import InternalClient
from shared.sql import execute
from tests.integration.shared.small_service import PRODUCER, Bumped, Small
from tests.support.service import NOON, signer_of

EPOCH: Final = UUID("00000000-0000-4000-8000-000000000001")


@dataclass
class Ear:
    """The consumer's operation. It keeps no business key, so whatever happens twice shows."""

    #: What is raised on an event of that counter, after its effects were written.
    troubles: dict[str, Exception] = field(default_factory=dict)
    calls: int = 0

    @property
    def handlers(self) -> Handlers:
        """As in a `subscribers.py`."""
        return dict([on(Bumped, self.hear)])

    async def hear(self, transaction: Transaction, data: Bumped) -> None:
        """Note what was heard and tell others; then have trouble with it."""
        self.calls += 1
        await execute(
            transaction.session,
            text("insert into heard (name, amount) values (:name, :amount)"),
            {"name": data.name, "amount": data.amount},
        )
        transaction.record(data, subject=data.name)
        if data.name in self.troubles:
            raise self.troubles[data.name]


def event(pos: int, name: str = "visits", **other: object) -> CloudEvent:
    """An event as the feed would carry it; the amount is its position unless given."""
    given: dict[str, object] = {
        "id": uuid5(EPOCH, str(pos)),
        "source": "/huitou/loyalty",
        "type": Bumped.type,
        "subject": name,
        "time": NOON,
        "pos": pos,
        "subjectversion": pos,
        "epoch": EPOCH,
        "data": {"name": name, "amount": pos},
        **other,
    }
    return CloudEvent.model_validate(given)


async def apply(consumer: Small, ear: Ear, events: Sequence[CloudEvent]) -> None:
    """Apply events as the subscriber does."""
    async with consumer.database.reading() as session:
        cursor = await read_cursor(session, producer=PRODUCER)
    await apply_batch(
        consumer.database,
        cursor=cursor,
        events=events,
        handlers=ear.handlers,
        service=consumer.service,
    )


async def heard(consumer: Small) -> list[tuple[str, int]]:
    """Every effect, in the order in which they happened."""
    return [(r.name, r.amount) for r in await consumer.rows("select * from heard order by id")]


async def parked(consumer: Small) -> list[tuple[int, str | None, str]]:
    """Position, error and state of everything that was ever parked, in order."""
    rows = await consumer.rows("select pos, error, state from parked_events order by pos, id")
    return [(row.pos, row.error, row.state) for row in rows]


async def position(consumer: Small) -> int:
    """Where the consumer's cursor stands."""
    found: int = await consumer.scalar("select coalesce(max(pos), 0) from event_cursors")
    return found


def between(consumer: Small, producer: Small) -> Subscriber:
    """The consumer's subscription to a producer in this process."""
    own: Subscriber = consumer.app.state.subscribers[producer.service]
    client = InternalClient(
        base_url=f"http://{producer.service}",
        audience=producer.service,
        signer=signer_of(consumer.service),
        transport=httpx.ASGITransport(producer.app),
    )
    return own.through(client)
