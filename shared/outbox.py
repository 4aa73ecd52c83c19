"""Writing facts into the outbox, inside the transaction that causes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from shared.contracts.envelope import EventData
from shared.records_sql import Column, as_records, recordset
from shared.telemetry import current_request


def _present_trace() -> str | None:
    context = current_request.get()
    return context.traceparent if context else None


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """A fact not yet in the log. `subject` is the aggregate whose events stay in order."""

    subject: str
    data: EventData
    #: The trace of whoever noted it: in a batch of foreign events, each has its own.
    traceparent: str | None = field(default_factory=_present_trace)


_EVENTS: Final[Sequence[Column[tuple[NewEvent, datetime, int]]]] = [
    ("type", "text", lambda one: one[0].data.type),
    ("subject", "text", lambda one: one[0].subject),
    ("data", "jsonb", lambda one: one[0].data.model_dump_json()),
    ("traceparent", "text", lambda one: one[0].traceparent),
    ("occurred_at", "timestamptz", lambda one: one[1]),
    ("place", "int", lambda one: one[2]),
]


def appending(placeholder: str, *, after: str = "true") -> str:
    """SQL of common table expressions that append the events of `event_rows`; the last is
    `appended`.

    `after` is a condition that makes them wait for what else the statement locks. The subject's
    row is locked before the ids of its events are drawn, and subjects are taken in order, so two
    transactions neither invert a subject's events nor wait for each other in a ring.
    """
    return f"""
    facts as (
      select * from {recordset(placeholder, _EVENTS, name="facts")} where {after}
    ), heads as (
      insert into event_subjects as head (subject, version)
      select subject, count(*) from facts group by subject order by subject
      on conflict (subject) do update set version = head.version + excluded.version
      returning subject, version
    ), numbered as (
      select facts.*, heads.version - count(*) over (partition by subject)
             + row_number() over (partition by subject order by place) as subject_version
      from facts join heads using (subject)
    ), appended as (
      insert into outbox
        (id, event_id, type, subject, subject_version, occurred_at, data, traceparent)
      select nextval('outbox_id'), gen_random_uuid(), type, subject, subject_version,
             occurred_at, data, traceparent
      from numbered order by place
    )
    """  # noqa: S608 - placeholders only


_APPEND: Final = f"with {appending('$1')} select"


async def append_events(
    session: AsyncSession, events: Sequence[NewEvent], *, occurred_at: datetime
) -> None:
    """Write events into the outbox, in one statement, still without a position."""
    if not events:
        return
    connection = await session.connection()
    await connection.exec_driver_sql(_APPEND, (event_rows(events, occurred_at=occurred_at),))


def event_rows(events: Sequence[NewEvent], *, occurred_at: datetime) -> str:
    """The argument of `appending`."""
    placed = [(event, occurred_at, place) for place, event in enumerate(events)]
    return as_records(_EVENTS, placed)
