"""Applying a batch of events: cursor and effects in one transaction, failures parked by subject."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from opentelemetry import trace

from shared.contracts.envelope import CloudEvent, EventData
from shared.db import Database, Transaction, is_transient
from shared.events.cursor import Cursor, CursorMoved, move_cursor
from shared.events.parking import park, read_lines
from shared.telemetry import EVENTS_APPLIED, EVENTS_PARKED, RequestContext, current_request, traced

_log = structlog.get_logger()

Handler = Callable[[Transaction, CloudEvent], Awaitable[None]]
Handlers = Mapping[str, Handler]


class UnknownVersion(Exception):
    """A newer major version of an event we listen to."""


def on(data_type: type[Any], apply: Callable[..., Awaitable[None]]) -> tuple[str, Handler]:
    """One line of a `subscribers.py`: this event type → this operation."""

    async def handle(transaction: Transaction, event: CloudEvent) -> None:
        data: EventData = data_type.model_validate(event.data)
        await apply(transaction, data)

    return data_type.type, handle


async def apply_batch(
    database: Database,
    *,
    cursor: Cursor,
    events: Sequence[CloudEvent],
    handlers: Handlers,
    service: str,
) -> None:
    """Apply events and move the cursor past them, all or nothing.

    First without savepoints, as nearly always nothing fails; when something does, once more with
    one each, so that only the failing event is parked. Raises CursorMoved when another replica was
    quicker, and transient errors as they are, with nothing changed.
    """
    try:
        await _apply(database, cursor, events, handlers, service, careful=False)
    except CursorMoved:
        raise
    except Exception as error:
        if is_transient(error):
            raise
        await _apply(database, cursor, events, handlers, service, careful=True)


async def _apply(
    database: Database,
    cursor: Cursor,
    events: Sequence[CloudEvent],
    handlers: Handlers,
    service: str,
    *,
    careful: bool,
) -> None:
    last = events[-1]
    moved = Cursor(producer=cursor.producer, epoch=last.epoch, pos=last.pos, event_id=last.id)
    applied: list[CloudEvent] = []
    parked_count = 0
    async with database.begin(actor=f"event:{cursor.producer}") as transaction:
        # The cursor first: its row lock keeps the other replicas out until we are done.
        await move_cursor(transaction.session, old=cursor, new=moved, at=transaction.now)
        lines = await read_lines(transaction.session, producer=cursor.producer, events=events)
        for event in events:
            handler = _handler_for(event, handlers)
            if handler is None or event.id in lines.skipped:
                continue
            error = None
            if not lines.holds_up(event):
                error = await apply_one(transaction, event, handler, careful=careful)
                if error is None:
                    applied.append(event)
                    continue
            lines.first[event.subject] = min(event.pos, lines.first.get(event.subject, event.pos))
            parked_count += 1
            await park(transaction, producer=cursor.producer, event=event, error=error)
    for event in applied:
        EVENTS_APPLIED.labels(service, cursor.producer, event.type).inc()
    if parked_count:
        EVENTS_PARKED.labels(service, cursor.producer).inc(parked_count)


async def apply_one(
    transaction: Transaction, event: CloudEvent, handler: Handler, *, careful: bool
) -> str | None:
    """Apply one event; in careful mode a lasting failure is undone and returned as a line."""
    kind = trace.SpanKind.CONSUMER
    with traced(event.type, parent=event.traceparent, kind=kind) as (_, traceparent):
        context = RequestContext(request_id=str(event.id), traceparent=traceparent)
        token = current_request.set(context)
        try:
            if careful:
                return await _apply_carefully(transaction, event, handler)
            await handler(transaction, event)
            # The next event's handler shall find what this one wrote, as it would in careful mode.
            await transaction.session.flush()
            return None
        finally:
            current_request.reset(token)


async def _apply_carefully(
    transaction: Transaction, event: CloudEvent, handler: Handler
) -> str | None:
    noted = len(transaction.events)
    try:
        async with transaction.session.begin_nested():
            await handler(transaction, event)
            await transaction.session.flush()
    except Exception as error:
        if is_transient(error):
            raise
        del transaction.events[noted:]
        _log.error("event parked", type=event.type, event_id=str(event.id), exc_info=error)
        # The message of an exception may quote data; its name and place in the log do not.
        return type(error).__name__
    return None


def _handler_for(event: CloudEvent, handlers: Handlers) -> Handler | None:
    """The handler of a type; one that parks when only an older major version is known."""
    handler = handlers.get(event.type)
    if handler is not None:
        return handler
    noun, _, version = event.type.rpartition(".v")
    known = [int(t.rpartition(".v")[2]) for t in handlers if t.rpartition(".v")[0] == noun]
    if not known or not version.isdigit() or int(version) < min(known):
        return None
    return _refuse_version


async def _refuse_version(_transaction: Transaction, event: CloudEvent) -> None:
    raise UnknownVersion(event.type)
