"""Positions, given after commit, by whoever comes by. ADR 0002 says why not a serial cursor."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_BATCH: Final = 500

# Statements of their own, under READ COMMITTED: the second takes its snapshot after the lock is
# held, so it sees all that the sequencer before it saw, and every transaction committed since.
_LOCK_OR_LEAVE = text("select epoch, pos from feed_head for update skip locked")
_NUMBER = text(
    """
    with pending as (
      select id from outbox where pos is null order by id limit :batch
    ), numbered as (
      select id, cast(:head as bigint) + row_number() over (order by id) as pos from pending
    )
    update outbox set pos = numbered.pos from numbered where outbox.id = numbered.id
    """
)
_MOVE = text("update feed_head set pos = :pos")
# Idle, this is all that happens, and it writes nothing: a row lock would go into the log on disk.
_READ = text(
    "select epoch, pos, exists(select from outbox where pos is null) as pending from feed_head"
)


@dataclass(frozen=True, kw_only=True)
class Head:
    """How far the log has come. `full` says that another batch was probably waiting."""

    epoch: UUID
    pos: int
    full: bool = False


async def sequence(engine: AsyncEngine) -> Head:
    """Give positions to one batch of committed events, if there are any, and return the head.

    When somebody else is at it, just say how far the log has come.
    """
    async with engine.begin() as connection:
        head = (await connection.execute(_READ)).one()
        if not head.pending:
            return Head(epoch=head.epoch, pos=head.pos)
        row = (await connection.execute(_LOCK_OR_LEAVE)).one_or_none()
        if row is None:
            return Head(epoch=head.epoch, pos=head.pos)
        count = (await connection.execute(_NUMBER, {"head": row.pos, "batch": _BATCH})).rowcount
        if count:
            await connection.execute(_MOVE, {"pos": row.pos + count})
        return Head(epoch=row.epoch, pos=row.pos + count, full=count == _BATCH)


async def sequence_all(engine: AsyncEngine) -> Head:
    """Give positions until no full batch is left."""
    head = await sequence(engine)
    while head.full:
        head = await sequence(engine)
    return head
