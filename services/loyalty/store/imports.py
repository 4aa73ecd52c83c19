"""Imports in bulk: how far each has come, and its refused lines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.imports import (
    KEPT_REFUSALS,
    ImportKind,
    LineRefusal,
    Tally,
)
from services.loyalty.store.tables import Import, ImportRefusal
from shared.sql import execute

_REFUSE: Final = text(
    """
    insert into import_refusals (import_id, line, reference, code, pointer)
    select :import_id, line, reference, code, pointer
    from unnest(
      cast(:lines as int[]), cast(:references as text[]), cast(:codes as text[]),
      cast(:pointers as text[])
    ) as given(line, reference, code, pointer)
    limit greatest(0, :kept - (
      select count(*) from import_refusals where import_id = :import_id
    ))
    """
)
_ADVANCE: Final = text(
    """
    update imports set lines = lines + :lines, taken = taken + :taken,
      repeated = repeated + :repeated, refused = refused + :refused, members = members + :members,
      touched_at = :now
    where id = :import_id and attempt = :attempt and state = 'receiving' and lines = :lines_before
    returning *
    """
)
_COUNTED: Final = text(
    """
    select * from imports
    where id = :import_id and attempt = :attempt and state = 'receiving' and lines = :lines
    """
)
_FINISH: Final = text(
    """
    update imports set state = :state, error = :error, body_hash = :body_hash,
      touched_at = :now, finished_at = :now
    where id = :import_id and attempt = :attempt and state = 'receiving'
    returning *
    """
)
_ABANDON: Final = text(
    """
    update imports set state = 'failed', error = 'upload_broken', finished_at = :now
    where id in (
      select id from imports where state = 'receiving' and touched_at < :before
      order by touched_at limit :limit for update skip locked
    )
    """
)
_PLAN_AFRESH: Final = text("set local plan_cache_mode = force_custom_plan")
_FORGET: Final = text("delete from import_refusals where import_id = :import_id")


async def plan_afresh(session: AsyncSession) -> None:
    """Let the statements of this transaction be planned for the tables as they are now.

    An import fills tables that were empty when it began. A plan kept from then scans them all for
    each of five hundred members, while their accounts are locked.
    """
    await execute(session, _PLAN_AFRESH)


async def find_import(session: AsyncSession, *, import_id: str, kind: ImportKind) -> Import | None:
    """One import of a kind, or None."""
    row = await session.get(Import, import_id)
    return row if row is not None and row.kind == kind else None


async def claim_import(session: AsyncSession, new: Import) -> tuple[Import, bool]:
    """The import of this actor, kind and key, locked until commit; `new` if there was none."""
    added = await execute(
        session,
        insert(Import)
        .values(**new.model_dump())
        .on_conflict_do_nothing(index_elements=["actor", "kind", "key"])
        .returning(col(Import.id)),
    )
    fresh = added.one_or_none() is not None
    found = await session.exec(
        select(Import)
        .where(
            col(Import.actor) == new.actor,
            col(Import.kind) == new.kind,
            col(Import.key) == new.key,
        )
        .with_for_update()
    )
    return found.one(), fresh


async def save_import(session: AsyncSession, row: Import) -> None:
    """Write an import that was claimed and begun again; its refused lines are forgotten."""
    session.add(row)
    await session.flush()
    await execute(session, _FORGET, {"import_id": row.id})


async def advance(
    session: AsyncSession, *, upload: Import, tally: Tally, now: datetime
) -> Import | None:
    """Count what became of some lines. None if the import is not as this upload left it: another
    is the newest, it was given up, or these lines have been counted.
    """
    found = await execute(
        session,
        _ADVANCE,
        {
            "import_id": upload.id,
            "attempt": upload.attempt,
            "lines_before": upload.lines,
            "lines": tally.lines,
            "taken": tally.taken,
            "repeated": tally.repeated,
            "refused": tally.refused,
            "members": tally.members,
            "now": now,
        },
    )
    row = found.mappings().one_or_none()
    return None if row is None else Import(**row)


async def find_counted(session: AsyncSession, *, upload: Import, lines: int) -> Import | None:
    """The import, if this upload is the newest and just these lines have been counted since."""
    found = await execute(
        session,
        _COUNTED,
        {"import_id": upload.id, "attempt": upload.attempt, "lines": upload.lines + lines},
    )
    row = found.mappings().one_or_none()
    return None if row is None else Import(**row)


async def finish(
    session: AsyncSession,
    *,
    import_id: str,
    attempt: int,
    error: str | None,
    body_hash: bytes | None,
    now: datetime,
) -> Import | None:
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
    return None if row is None else Import(**row)


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
            "references": [one.reference for one in refusals],
            "codes": [one.code for one in refusals],
            "pointers": [one.pointer for one in refusals],
        },
    )


async def list_refusals(
    session: AsyncSession, *, import_id: str, after: int, limit: int
) -> Sequence[ImportRefusal]:
    """Refused lines of an import, by line number, those after a line."""
    found = await session.exec(
        select(ImportRefusal)
        .where(col(ImportRefusal.import_id) == import_id, col(ImportRefusal.line) > after)
        .order_by(col(ImportRefusal.line))
        .limit(limit)
    )
    return found.all()
