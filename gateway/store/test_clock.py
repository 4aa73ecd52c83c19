"""Moves of the sandbox's clock, and the lock that lets one process at a time make one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from gateway.store.tables import metadata
from shared.db import Database
from shared.sql import execute

#: Whoever moves the clock holds this lock, on a connection of its own, as long as it lives.
_MOVING: Final = 7_306_010
_TRY_LOCK = text("select pg_try_advisory_lock(:key)")
_UNLOCK = text("select pg_advisory_unlock(:key)")

_advances = metadata.tables["clock_advances"]


@dataclass(frozen=True, kw_only=True)
class Advance:
    """A move of the clock and how far it has come."""

    id: int
    from_at: datetime
    to_at: datetime
    at: datetime
    moments: int
    settled: bool
    waiting_for: str | None


async def add_advance(
    session: AsyncSession, *, from_at: datetime, to_at: datetime, actor: str
) -> Advance | None:
    """Note a move that is to be made; None while another is being made."""
    made = await execute(
        session,
        insert(_advances)
        .values(from_at=from_at, to_at=to_at, at=from_at, actor=actor)
        .on_conflict_do_nothing()
        .returning(*_advances.c),
    )
    row = made.one_or_none()
    return None if row is None else _read(row)


async def last_advance(session: AsyncSession) -> Advance | None:
    """The move that is being made, or the last that was."""
    found = await execute(session, select(_advances).order_by(_advances.c.id.desc()).limit(1))
    row = found.one_or_none()
    return None if row is None else _read(row)


async def note_moment(session: AsyncSession, *, id: int, at: datetime) -> None:
    """Note that one more moment was visited."""
    await _update(session, id, at=at, moments=_advances.c.moments + 1, waiting_for=None)


async def note_waiting(session: AsyncSession, *, id: int, service: str) -> None:
    """Note that a service cannot do its part just now."""
    await _update(session, id, waiting_for=service)


async def settle_advance(session: AsyncSession, *, id: int) -> None:
    """Note that a move has been made to its end."""
    await _update(session, id, settled=True, waiting_for=None)


@asynccontextmanager
async def moving(database: Database) -> AsyncIterator[bool]:
    """Be the one who moves the clock, unless another process is; it lets go when it dies."""
    options = {"isolation_level": "AUTOCOMMIT"}
    async with database.engine.execution_options(**options).connect() as connection:
        got = bool((await connection.execute(_TRY_LOCK, {"key": _MOVING})).scalar_one())
        try:
            yield got
        finally:
            if got:
                await connection.execute(_UNLOCK, {"key": _MOVING})


async def _update(session: AsyncSession, id_: int, **values: Any) -> None:
    await execute(session, update(_advances).where(_advances.c.id == id_).values(values))


def _read(row: Row[Any]) -> Advance:
    return Advance(
        id=row.id,
        from_at=row.from_at,
        to_at=row.to_at,
        at=row.at,
        moments=row.moments,
        settled=row.settled,
        waiting_for=row.waiting_for,
    )
