"""Imports of order history: how far each has come, and its refused lines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.imports import (
    KEPT_REFUSALS,
    LineRefusal,
    Tally,
)
from services.loyalty.store.tables import OrderImport, OrderImportRefusal
from shared.sql import execute

_REFUSE: Final = text(
    """
    insert into order_import_refusals (import_id, line, order_id, code, pointer)
    select :import_id, line, order_id, code, pointer
    from unnest(
      cast(:lines as int[]), cast(:order_ids as text[]), cast(:codes as text[]),
      cast(:pointers as text[])
    ) as given(line, order_id, code, pointer)
    limit greatest(0, :kept - (
      select count(*) from order_import_refusals where import_id = :import_id
    ))
    """
)
_ADVANCE: Final = text(
    """
    update order_imports set lines = lines + :lines, orders = orders + :orders,
      repeated = repeated + :repeated, refused = refused + :refused, members = members + :members,
      touched_at = :now
    where id = :import_id and attempt = :attempt and state = 'receiving'
    returning *
    """
)
_FINISH: Final = text(
    """
    update order_imports set state = :state, error = :error, body_hash = :body_hash,
      touched_at = :now, finished_at = :now
    where id = :import_id and attempt = :attempt and state = 'receiving'
    returning *
    """
)
_ABANDON: Final = text(
    """
    update order_imports set state = 'failed', error = 'upload_broken', finished_at = :now
    where id in (
      select id from order_imports where state = 'receiving' and touched_at < :before
      order by touched_at limit :limit for update skip locked
    )
    """
)
_FORGET: Final = text("delete from order_import_refusals where import_id = :import_id")


async def find_import(session: AsyncSession, *, import_id: str) -> OrderImport | None:
    """One import, or None."""
    return await session.get(OrderImport, import_id)


async def claim_import(session: AsyncSession, new: OrderImport) -> tuple[OrderImport, bool]:
    """The import of this actor and key, locked until commit; the new one if there was none yet."""
    added = await execute(
        session,
        insert(OrderImport)
        .values(**new.model_dump())
        .on_conflict_do_nothing(index_elements=["actor", "key"])
        .returning(col(OrderImport.id)),
    )
    fresh = added.one_or_none() is not None
    found = await session.exec(
        select(OrderImport)
        .where(col(OrderImport.actor) == new.actor, col(OrderImport.key) == new.key)
        .with_for_update()
    )
    return found.one(), fresh


async def save_import(session: AsyncSession, row: OrderImport) -> None:
    """Write an import that was claimed and begun again; its refused lines are forgotten."""
    session.add(row)
    await session.flush()
    await execute(session, _FORGET, {"import_id": row.id})


async def advance(
    session: AsyncSession, *, import_id: str, attempt: int, tally: Tally, now: datetime
) -> OrderImport | None:
    """Count what became of some lines. None if this upload is not the newest, or was given up."""
    found = await execute(
        session,
        _ADVANCE,
        {
            "import_id": import_id,
            "attempt": attempt,
            "lines": tally.lines,
            "orders": tally.orders,
            "repeated": tally.repeated,
            "refused": tally.refused,
            "members": tally.members,
            "now": now,
        },
    )
    row = found.mappings().one_or_none()
    return None if row is None else OrderImport(**row)


async def finish(
    session: AsyncSession,
    *,
    import_id: str,
    attempt: int,
    error: str | None,
    body_hash: bytes | None,
    now: datetime,
) -> OrderImport | None:
    """End an upload, well or with an error. None if it is not the newest, or was given up."""
    found = await execute(
        session,
        _FINISH,
        {
            "import_id": import_id,
            "attempt": attempt,
            "state": "done" if error is None else "failed",
            "error": error,
            "body_hash": body_hash,
            "now": now,
        },
    )
    row = found.mappings().one_or_none()
    return None if row is None else OrderImport(**row)


async def abandon_silent(
    session: AsyncSession, *, before: datetime, now: datetime, limit: int
) -> int:
    """Give up uploads not heard of since `before`; how many."""
    done = await execute(session, _ABANDON, {"before": before, "now": now, "limit": limit})
    return done.rowcount


async def keep_refusals(
    session: AsyncSession, refusals: Sequence[LineRefusal], *, import_id: str
) -> None:
    """Keep refused lines for reading, up to a bound per import."""
    await execute(
        session,
        _REFUSE,
        {
            "import_id": import_id,
            "kept": KEPT_REFUSALS,
            "lines": [one.line for one in refusals],
            "order_ids": [one.order_id for one in refusals],
            "codes": [one.code for one in refusals],
            "pointers": [one.pointer for one in refusals],
        },
    )


async def list_refusals(
    session: AsyncSession, *, import_id: str, after: int, limit: int
) -> Sequence[OrderImportRefusal]:
    """Refused lines of an import, by line number, those after a line."""
    found = await session.exec(
        select(OrderImportRefusal)
        .where(col(OrderImportRefusal.import_id) == import_id, col(OrderImportRefusal.line) > after)
        .order_by(col(OrderImportRefusal.line))
        .limit(limit)
    )
    return found.all()
