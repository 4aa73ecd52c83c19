"""Parked events: what could not be applied and what queues behind it, for an operator to decide."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.contracts.envelope import CloudEvent
from shared.db import Transaction
from shared.kernel.errors import NotFound, Refusal
from shared.sql import execute
from shared.tables import event_cursors, parked_events


class NotFirstInLine(Refusal):
    """An earlier event of the same subject is parked; that one is decided first."""

    code = "parked_event_not_first"


@dataclass(frozen=True, kw_only=True)
class ParkedEvent:
    """One event that waits. `error` is None when it only queues behind another."""

    id: int
    producer: str
    event: CloudEvent
    error: str | None
    attempts: int
    parked_at: datetime


@dataclass(frozen=True, kw_only=True)
class Lines:
    """What is parked or was given up, as far as a batch of events is concerned."""

    #: The position of the first event that waits, by subject.
    first: dict[str, int]
    #: Events that an operator skipped; a rewind that meets them again leaves them skipped.
    skipped: Collection[UUID]

    def holds_up(self, event: CloudEvent) -> bool:
        """Whether the event must queue. What came before its line, a rewind may apply again."""
        first = self.first.get(event.subject)
        return first is not None and event.pos >= first


async def read_lines(
    session: AsyncSession, *, producer: str, events: Sequence[CloudEvent]
) -> Lines:
    """The lines of these events' subjects."""
    waiting = await execute(
        session,
        select(parked_events.c.subject, func.min(parked_events.c.pos).label("pos"))
        .where(
            parked_events.c.producer == producer,
            parked_events.c.subject.in_(sorted({event.subject for event in events})),
            parked_events.c.state == "parked",
        )
        .group_by(parked_events.c.subject),
    )
    skipped = await execute(
        session,
        select(parked_events.c.event_id).where(
            parked_events.c.producer == producer,
            parked_events.c.event_id.in_([event.id for event in events]),
            parked_events.c.state == "skipped",
        ),
    )
    return Lines(
        first={row.subject: row.pos for row in waiting}, skipped=frozenset(skipped.scalars())
    )


async def park(
    transaction: Transaction, *, producer: str, event: CloudEvent, error: str | None
) -> None:
    """Put an event aside; when a rewind meets it again it waits as before, or once more."""
    insertion = insert(parked_events).values(
        producer=producer,
        pos=event.pos,
        event_id=event.id,
        subject=event.subject,
        type=event.type,
        event=orjson.loads(event.model_dump_json()),
        error=error,
        attempts=0 if error is None else 1,
        parked_at=transaction.now,
    )
    await execute(
        transaction.session,
        insertion.on_conflict_do_update(
            constraint="parked_event_once",
            set_={"state": "parked", "error": insertion.excluded.error, "resolved_at": None},
            where=parked_events.c.state == "applied",
        ),
    )


async def waiting_events(session: AsyncSession, *, after: int, limit: int) -> Sequence[ParkedEvent]:
    """The events that wait, oldest first."""
    found = await execute(
        session,
        select(parked_events)
        .where(parked_events.c.state == "parked", parked_events.c.id > after)
        .order_by(parked_events.c.id)
        .limit(limit),
    )
    return [_parked(row) for row in found]


async def line_of(session: AsyncSession, *, parked_id: int) -> Sequence[ParkedEvent]:
    """The parked event with this id and those behind it, locked.

    Raises NotFound when it does not wait, NotFirstInLine when another stands before it.
    """
    wanted = (
        await execute(session, select(parked_events).where(parked_events.c.id == parked_id))
    ).one_or_none()
    if wanted is None or wanted.state != "parked":
        raise NotFound
    # Behind the cursor's lock: no subscriber parks into this line while it is being worked off.
    await execute(
        session,
        select(event_cursors.c.pos)
        .where(event_cursors.c.producer == wanted.producer)
        .with_for_update(),
    )
    rows = await execute(
        session,
        select(parked_events)
        .where(
            parked_events.c.producer == wanted.producer,
            parked_events.c.subject == wanted.subject,
            parked_events.c.state == "parked",
        )
        .order_by(parked_events.c.pos, parked_events.c.id)
        .with_for_update(),
    )
    line = [_parked(row) for row in rows]
    if not line or line[0].id != parked_id:
        raise NotFirstInLine if any(p.id == parked_id for p in line) else NotFound
    return line


async def settle(
    transaction: Transaction, *, parked_id: int, state: str, resolution: str | None
) -> None:
    """Close a parked event as applied or skipped."""
    await execute(
        transaction.session,
        update(parked_events)
        .where(parked_events.c.id == parked_id)
        .values(state=state, resolution=resolution, resolved_at=transaction.now),
    )


async def note_failure(transaction: Transaction, *, parked_id: int, error: str) -> None:
    """Note that another try failed."""
    await execute(
        transaction.session,
        update(parked_events)
        .where(parked_events.c.id == parked_id)
        .values(error=error, attempts=parked_events.c.attempts + 1),
    )


def _parked(row: Row[Any]) -> ParkedEvent:
    return ParkedEvent(
        id=row.id,
        producer=row.producer,
        event=CloudEvent.model_validate(row.event),
        error=row.error,
        attempts=row.attempts,
        parked_at=row.parked_at,
    )
