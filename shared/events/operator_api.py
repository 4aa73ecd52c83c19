"""What operators see and do about the event log of one service."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response
from pydantic import Field
from sqlalchemy import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.db import Database, Transaction
from shared.events.applying import Handlers, apply_one
from shared.events.cursor import rewind_cursor
from shared.events.parking import ParkedEvent, line_of, note_failure, settle, waiting_events
from shared.http.fields import LongLine, ReplyModel, RequestModel
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.writes import OpenWrite, Reply
from shared.kernel.errors import NotFound
from shared.kernel.paging import decode_cursor, encode_cursor, page_of
from shared.sql import execute
from shared.tables import event_cursors, feed_acks, feed_head, outbox, parked_events

_PRODUCER: Final = "The service whose events these are"
Position = Annotated[int, Field(description="The position of the last event that was dealt with")]
ParkedId = Annotated[int, Path(ge=1, lt=2**63, description="The number of a parked event")]
Producer = Annotated[str, Path(pattern=r"^[a-z]{1,20}$", description=_PRODUCER)]

_FIRST_OF_ITS_LINE: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "`not_found`: it does not wait"},
    409: {"description": "`parked_event_not_first`"},
}


class ParkedEventReply(ReplyModel):
    """An event that waits for a decision, or queues behind one that does."""

    id: Annotated[int, Field(description="The number of a parked event")]
    producer: Annotated[str, Field(description=_PRODUCER)]
    type: Annotated[str, Field(description="Such as `order.paid.v1`")]
    subject: Annotated[
        str, Field(description="Whose events stay in order, mostly a member; they form one line")
    ]
    event_id: Annotated[str, Field(description="The event's own id")]
    error: Annotated[str | None, Field(description="What went wrong; null for one that queues")]
    attempts: Annotated[int, Field(description="How often it failed")]
    parked_at: datetime


class Skip(RequestModel):
    """Why an event is given up."""

    reason: Annotated[LongLine, Field(description="Why; it stays on record")]


class Resolution(ReplyModel):
    """What became of the line: how many events were applied, how many still wait."""

    applied: Annotated[int, Field(description="Events that were applied")]
    waiting: Annotated[int, Field(description="Events that still wait")]


class Subscription(ReplyModel):
    """How far a producer's events are applied here."""

    producer: Annotated[str, Field(description=_PRODUCER)]
    pos: Position
    moved_at: datetime
    parked: Annotated[int, Field(description="Events that still wait")]


class Consumer(ReplyModel):
    """How far a consumer of this service's events has come."""

    consumer: Annotated[str, Field(description="The service that reads this one's events")]
    pos: Position
    acked_at: datetime


class EventLogStatus(ReplyModel):
    """The state of a service's event log and subscriptions."""

    service: Annotated[str, Field(description="Whose log it is")]
    epoch: Annotated[str, Field(description="Another one after a restore from a backup")]
    head: Annotated[int, Field(description="The position of the last event in the log")]
    unsequenced: Annotated[int, Field(description="Events that have no position so far")]
    consumers: list[Consumer]
    subscriptions: list[Subscription]


def operator_router(
    *, service: str, database: Database, handlers: dict[str, Handlers]
) -> APIRouter:
    """Routes about the event log; `handlers` by producer are what a retry runs."""
    router = APIRouter(prefix=f"/v1/services/{service}", tags=["operations"])

    @router.get("/event_log", operation_id=f"show_{service}_event_log")
    async def show_event_log() -> EventLogStatus:
        """Head of the log, consumers and subscriptions."""
        async with database.reading() as session:
            return await _status(session, service=service)

    @router.get("/parked_events", operation_id=f"list_{service}_parked_events")
    async def list_parked_events(
        limit: LimitQuery = 50, cursor: CursorQuery = None
    ) -> PageReply[ParkedEventReply]:
        """Events that could not be applied, oldest first, and those that queue behind them."""
        after = int(decode_cursor(cursor, int)[0]) if cursor else 0
        async with database.reading() as session:
            rows = await waiting_events(session, after=after, limit=limit + 1)
        page = page_of(rows, limit=limit, mark=lambda row: encode_cursor(row.id))
        return PageReply(data=[_reply(row) for row in page.rows], next_cursor=page.next_cursor)

    @router.post(
        "/parked_events/{parked_id}/retry",
        operation_id=f"retry_{service}_parked_event",
        response_model=Resolution,
        responses=_FIRST_OF_ITS_LINE,
    )
    async def retry_parked_event(parked_id: ParkedId, write: OpenWrite) -> Response:
        """Try again the first event of its line, and then those behind it."""
        return await write.run(
            lambda transaction: _work_off(transaction, parked_id, handlers),
            reply=lambda resolution: Reply(body=resolution),
        )

    @router.post(
        "/parked_events/{parked_id}/skip",
        operation_id=f"skip_{service}_parked_event",
        response_model=Resolution,
        responses=_FIRST_OF_ITS_LINE,
    )
    async def skip_parked_event(parked_id: ParkedId, body: Skip, write: OpenWrite) -> Response:
        """Give up the first event of its line, with a reason, and try those behind it."""
        return await write.run(
            lambda transaction: _work_off(transaction, parked_id, handlers, skip=body.reason),
            reply=lambda resolution: Reply(body=resolution),
        )

    @router.post(
        "/subscriptions/{producer}/rewind",
        operation_id=f"rewind_{service}_subscription",
        status_code=204,
    )
    async def rewind_subscription(producer: Producer, write: OpenWrite) -> Response:
        """Read a producer's log again from its beginning; effects already made are not repeated."""

        async def rewind(transaction: Transaction) -> None:
            if producer not in handlers:
                raise NotFound
            await rewind_cursor(transaction.session, producer=producer, at=transaction.now)

        return await write.run(rewind, reply=lambda _: Reply(body=None, status=204))

    return router


async def _work_off(
    transaction: Transaction,
    parked_id: int,
    handlers: dict[str, Handlers],
    *,
    skip: str | None = None,
) -> Resolution:
    line = list(await line_of(transaction.session, parked_id=parked_id))
    if skip is not None:
        await settle(transaction, parked_id=parked_id, state="skipped", resolution=skip)
        line = line[1:]
    for applied, parked in enumerate(line):
        error = await _try(transaction, parked, handlers)
        if error is not None:
            await note_failure(transaction, parked_id=parked.id, error=error)
            return Resolution(applied=applied, waiting=len(line) - applied)
        await settle(transaction, parked_id=parked.id, state="applied", resolution=None)
    return Resolution(applied=len(line), waiting=0)


async def _try(
    transaction: Transaction, parked: ParkedEvent, handlers: dict[str, Handlers]
) -> str | None:
    handler = handlers.get(parked.producer, {}).get(parked.event.type)
    if handler is None:
        return "UnknownVersion"
    return await apply_one(transaction, parked.event, handler, careful=True)


async def _status(session: AsyncSession, *, service: str) -> EventLogStatus:
    head = (await execute(session, select(feed_head))).one()
    pending: Any = select(func.count()).select_from(outbox).where(outbox.c.pos.is_(None))
    waiting = (
        select(func.count())
        .select_from(parked_events)
        .where(
            parked_events.c.producer == event_cursors.c.producer, parked_events.c.state == "parked"
        )
        .scalar_subquery()
    )
    acks = await execute(session, select(feed_acks).order_by(feed_acks.c.consumer))
    cursors = await execute(
        session, select(event_cursors, waiting.label("parked")).order_by(event_cursors.c.producer)
    )
    return EventLogStatus(
        service=service,
        epoch=str(head.epoch),
        head=head.pos,
        unsequenced=(await execute(session, pending)).scalar_one(),
        consumers=[Consumer(consumer=a.consumer, pos=a.pos, acked_at=a.acked_at) for a in acks],
        subscriptions=[
            Subscription(producer=c.producer, pos=c.pos, moved_at=c.moved_at, parked=c.parked)
            for c in cursors
        ],
    )


def _reply(parked: ParkedEvent) -> ParkedEventReply:
    return ParkedEventReply(
        id=parked.id,
        producer=parked.producer,
        type=parked.event.type,
        subject=parked.event.subject,
        event_id=str(parked.event.id),
        error=parked.error,
        attempts=parked.attempts,
        parked_at=parked.parked_at,
    )
