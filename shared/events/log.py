"""Reading the log: events as CloudEvents, written by PostgreSQL itself.

It has the rows; to make objects of them here only to write them down again would cost several
times as much as all else that is done for an event.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_READ: Final = text(
    """
    select json_build_object(
      'specversion', '1.0', 'id', event_id, 'source', cast(:source as text), 'type', type,
      'subject', subject,
      'time', to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'datacontenttype', 'application/json', 'pos', pos, 'subjectversion', subject_version,
      'epoch', cast(:epoch as uuid), 'traceparent', traceparent, 'data', data)::text
    from outbox where pos > :after and pos <= :head order by pos limit :limit
    """
)


async def read_events(
    connection: AsyncConnection, *, service: str, epoch: UUID, after: int, head: int, limit: int
) -> Sequence[str]:
    """The events behind a position, up to the head, each as JSON (`CloudEvent` reads it)."""
    found = await connection.execute(
        _READ,
        {
            "source": f"/huitou/{service}",
            "epoch": epoch,
            "after": after,
            "head": head,
            "limit": limit,
        },
    )
    return list(found.scalars())
