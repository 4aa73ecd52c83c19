"""The feed: the log itself, read in order by position. `GET /internal/events`."""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.db import Database
from shared.events.log import read_events
from shared.events.sequencer import Head, sequence_all
from shared.http.access import CurrentCall
from shared.kernel.errors import Refusal, RefusalKind
from shared.sql import execute
from shared.tables import feed_acks, outbox

MAX_EVENTS: Final = 500
MAX_WAIT_S: Final = 20.0
#: A page ends early rather than grow beyond this; one event is always sent.
PAGE_BYTES: Final = 4 * 1024 * 1024
_POLL_S: Final = 1.0
_MEDIA_TYPE: Final = "application/cloudevents-batch+json"


class FeedDiverged(Refusal):
    """The reader's history is not this log's: the log was restored from a backup, or reset."""

    code = "feed_diverged"


class FeedTruncated(Refusal):
    """The events after the reader's position are no longer kept."""

    code = "feed_truncated"
    kind = RefusalKind.gone


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a reader stands: the last event it has applied. Position 0 is the beginning."""

    pos: int
    event_id: UUID | None
    epoch: UUID | None


def feed_router(*, service: str, database: Database, moved: asyncio.Condition) -> APIRouter:
    """The internal route on which neighbours read this service's log."""
    router = APIRouter(include_in_schema=False)

    @router.get("/internal/events", operation_id="read_feed")
    async def read_feed(
        request: Request,
        call: CurrentCall,
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        after_id: UUID | None = None,
        epoch: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = MAX_EVENTS,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 0,
    ) -> Response:
        place = Place(pos=after, event_id=after_id, epoch=epoch)
        head = await sequence_all(database.engine)
        # A reader that is ahead of us has another history: it is told so at once, not kept waiting.
        if head.pos == after and wait:
            head = await _await_news(request, database, moved=moved, after=after, wait_s=wait)
        async with database.reading() as session:
            oldest = await _refuse_unless_agreed(session, place, head)
            events = await read_events(
                await session.connection(),
                service=service,
                epoch=head.epoch,
                after=after,
                head=head.pos,
                limit=limit,
            )
            page = _page(events)
            await _acknowledge(session, consumer=call.issuer, pos=after, database=database)
        return Response(
            "[" + ",".join(page) + "]",
            media_type=_MEDIA_TYPE,
            headers={
                "Feed-Epoch": str(head.epoch),
                "Feed-Head": str(head.pos),
                "Feed-Oldest": str(oldest),
            },
        )

    return router


def _page(events: Iterable[str]) -> list[str]:
    """As many events as a page holds."""
    page: list[str] = []
    size = 0
    for event in events:
        size += len(event)
        if page and size > PAGE_BYTES:
            break
        page.append(event)
    return page


async def _await_news(
    request: Request,
    database: Database,
    *,
    moved: asyncio.Condition,
    after: int,
    wait_s: float,
) -> Head:
    """Wait for the head to pass `after`: woken by our relay, polling for other replicas'."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    head = await sequence_all(database.engine)
    while head.pos <= after and loop.time() < deadline and not await request.is_disconnected():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(_POLL_S, max(0.0, deadline - loop.time()))), moved:
                await moved.wait()
        head = await sequence_all(database.engine)
    return head


async def _refuse_unless_agreed(session: AsyncSession, place: Place, head: Head) -> int:
    """Raise FeedDiverged or FeedTruncated unless the reader's last event is ours, there."""
    oldest: int = (
        await execute(session, select(func.min(outbox.c.pos)))
    ).scalar_one() or head.pos + 1
    if place.epoch is not None and place.epoch != head.epoch:
        raise FeedDiverged
    if place.pos > head.pos:
        raise FeedDiverged
    if place.pos < oldest - 1:
        raise FeedTruncated(oldest=oldest)
    if place.event_id is not None and place.pos >= oldest:
        found = await execute(session, select(outbox.c.event_id).where(outbox.c.pos == place.pos))
        if found.scalar_one_or_none() != place.event_id:
            raise FeedDiverged
    return oldest


async def _acknowledge(
    session: AsyncSession, *, consumer: str, pos: int, database: Database
) -> None:
    """Note how far the reader has come; nothing is written when it stands where it stood."""
    insertion = insert(feed_acks).values(consumer=consumer, pos=pos, acked_at=database.clock.now())
    await execute(
        session,
        insertion.on_conflict_do_update(
            index_elements=[feed_acks.c.consumer],
            set_={"pos": insertion.excluded.pos, "acked_at": insertion.excluded.acked_at},
            where=feed_acks.c.pos != insertion.excluded.pos,
        ),
    )
