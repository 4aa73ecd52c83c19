"""Reading and writing API keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, insert, or_, select, tuple_, update
from sqlmodel.ext.asyncio.session import AsyncSession

from gateway.domain.api_keys import ALL_SCOPES, KeyFacts, KeySecret
from gateway.store.tables import metadata
from shared.sql import execute

#: How stale `last_used_at` may be.
USE_NOTED_EVERY: Final = timedelta(minutes=1)

_keys = metadata.tables["api_keys"]
_facts = [column for column in _keys.c if column.name not in ("secret_hash", "revoked_by")]


@dataclass(frozen=True, kw_only=True)
class StoredKey:
    """A key with the hash that proves it."""

    facts: KeyFacts
    secret_hash: bytes


async def insert_key(
    session: AsyncSession,
    *,
    key: KeySecret,
    name: str,
    scopes: Sequence[str],
    created_by: str,
    created_at: datetime,
    expires_at: datetime | None,
) -> KeyFacts:
    """Keep a new key, all but its secret."""
    values = {
        "id": key.id,
        "secret_hash": key.hash,
        "name": name,
        "scopes": list(scopes),
        "created_by": created_by,
        "created_at": created_at,
        "expires_at": expires_at,
    }
    made = await execute(session, insert(_keys).values(values).returning(*_facts))
    return _read(made.one())


async def find_key(session: AsyncSession, *, key_id: str) -> StoredKey | None:
    """A key by its id."""
    found = await execute(session, select(_keys).where(_keys.c.id == key_id))
    row = found.one_or_none()
    return StoredKey(facts=_read(row), secret_hash=row.secret_hash) if row is not None else None


async def list_keys(
    session: AsyncSession, *, limit: int, before: tuple[datetime, str] | None
) -> list[KeyFacts]:
    """Keys, newest first, from below a place in that order."""
    wanted = select(*_facts).order_by(_keys.c.created_at.desc(), _keys.c.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(tuple_(_keys.c.created_at, _keys.c.id) < before)
    return [_read(row) for row in await execute(session, wanted)]


async def lock_keys(session: AsyncSession, *, key_ids: Sequence[str]) -> dict[str, KeyFacts]:
    """Keys by id, locked in the order of their ids, and with them every manager key.

    Whoever decides about a manager key must see the others stand still.
    """
    wanted = (
        select(*_facts)
        .where(or_(_keys.c.id.in_(key_ids), _keys.c.scopes == [ALL_SCOPES]))
        .order_by(_keys.c.id)
        .with_for_update()
    )
    return {row.id: _read(row) for row in await execute(session, wanted)}


async def mark_revoked(
    session: AsyncSession, *, key_id: str, revoked_by: str, at: datetime
) -> None:
    """End a key."""
    await execute(
        session,
        update(_keys).where(_keys.c.id == key_id).values(revoked_at=at, revoked_by=revoked_by),
    )


async def note_use(session: AsyncSession, *, key_id: str, at: datetime) -> None:
    """Note that a key is in use, unless that was noted a moment ago."""
    stale = or_(_keys.c.last_used_at.is_(None), _keys.c.last_used_at <= at - USE_NOTED_EVERY)
    await execute(session, update(_keys).where(_keys.c.id == key_id, stale).values(last_used_at=at))


def _read(row: Row[Any]) -> KeyFacts:
    return KeyFacts(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
