"""How far a producer's events are applied. The row moves by compare-and-set: the only fence."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.db import is_lock_timeout
from shared.sql import execute
from shared.tables import event_cursors


class CursorMoved(Exception):
    """Somebody else applied these events first; nothing of ours may remain."""


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """The last applied event of a producer; position 0 before the first."""

    producer: str
    epoch: UUID | None
    pos: int
    event_id: UUID | None


async def read_cursor(session: AsyncSession, *, producer: str) -> Cursor:
    """Where we stand."""
    found = await execute(
        session, select(event_cursors).where(event_cursors.c.producer == producer)
    )
    row = found.one_or_none()
    if row is None:
        return Cursor(producer=producer, epoch=None, pos=0, event_id=None)
    return Cursor(producer=producer, epoch=row.epoch, pos=row.pos, event_id=row.event_id)


async def move_cursor(session: AsyncSession, *, old: Cursor, new: Cursor, at: datetime) -> None:
    """Move the cursor from exactly where it was read.

    Raises CursorMoved if it stands elsewhere, or while another replica is busy moving it.
    """
    try:
        moved = await _compare_and_set(session, old=old, new=new, at=at)
    except DBAPIError as error:
        if is_lock_timeout(error):
            raise CursorMoved from None
        raise
    if not moved:
        raise CursorMoved


async def _compare_and_set(
    session: AsyncSession, *, old: Cursor, new: Cursor, at: datetime
) -> bool:
    if old.pos == 0 and old.event_id is None:
        await execute(
            session,
            insert(event_cursors)
            .values(producer=old.producer, epoch=old.epoch, pos=0, event_id=None, moved_at=at)
            .on_conflict_do_nothing(),
        )
    moved = await execute(
        session,
        update(event_cursors)
        .where(
            event_cursors.c.producer == old.producer,
            event_cursors.c.pos == old.pos,
            event_cursors.c.event_id.is_not_distinct_from(old.event_id),
            event_cursors.c.epoch.is_not_distinct_from(old.epoch),
        )
        .values(epoch=new.epoch, pos=new.pos, event_id=new.event_id, moved_at=at),
    )
    return moved.rowcount == 1


async def rewind_cursor(session: AsyncSession, *, producer: str, at: datetime) -> None:
    """Begin a producer's log anew; effects already made are found by their business keys."""
    await execute(
        session,
        update(event_cursors)
        .where(event_cursors.c.producer == producer)
        .values(epoch=None, pos=0, event_id=None, moved_at=at),
    )
