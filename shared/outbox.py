"""Writing facts into the outbox, inside the transaction that causes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.contracts.envelope import EventData
from shared.sql import execute
from shared.telemetry import current_request

# The subject's row is locked before the ids of its events are drawn, and subjects are taken in
# order, so two transactions neither invert a subject's events nor wait for each other in a ring.
_APPEND = text(
    """
    with given as (
      select * from unnest(
        cast(:event_ids as uuid[]), cast(:types as text[]),
        cast(:subjects as text[]), cast(:data as text[]), cast(:traceparents as text[])
      ) with ordinality as given(event_id, type, subject, data, traceparent, place)
    ), heads as (
      insert into event_subjects as head (subject, version)
      select subject, count(*) from given group by subject order by subject
      on conflict (subject) do update set version = head.version + excluded.version
      returning subject, version
    ), numbered as (
      select given.*, heads.version - count(*) over (partition by subject)
             + row_number() over (partition by subject order by place) as subject_version
      from given join heads using (subject)
    )
    insert into outbox
      (id, event_id, type, subject, subject_version, occurred_at, data, traceparent)
    select nextval('outbox_id'), event_id, type, subject, subject_version,
           :occurred_at, cast(data as jsonb), traceparent
    from numbered order by place
    """
)


def _present_trace() -> str | None:
    context = current_request.get()
    return context.traceparent if context else None


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """A fact not yet in the log. `subject` is the aggregate whose events stay in order."""

    subject: str
    data: EventData
    event_id: UUID = field(default_factory=uuid4)
    #: The trace of whoever noted it: in a batch of foreign events, each has its own.
    traceparent: str | None = field(default_factory=_present_trace)


async def append_events(
    session: AsyncSession, events: Sequence[NewEvent], *, occurred_at: datetime
) -> None:
    """Write events into the outbox, in one statement, still without a position."""
    if not events:
        return
    await execute(
        session,
        _APPEND,
        {
            "event_ids": [event.event_id for event in events],
            "types": [event.data.type for event in events],
            "subjects": [event.subject for event in events],
            "data": [event.data.model_dump_json() for event in events],
            "occurred_at": occurred_at,
            "traceparents": [event.traceparent for event in events],
        },
    )
