"""The ledger read for audits: whole, by a cursor for each table, or one member's part of it."""

from collections.abc import Sequence
from typing import Final

import orjson
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.audit_chain import Parts
from services.loyalty.domain.audit_rows import Row
from services.loyalty.domain.chain import HASHED_COLUMNS
from shared.sql import execute

# Exact: since PostgreSQL 14 `extract` gives a numeric. No bigint holds infinity, nor the last of
# all years: NULL then, which nobody wrote, so the row is named as altered.
MICROSECONDS: Final = (
    "case when isfinite({0}) and {0} < '290000-01-01'"
    " then (extract(epoch from {0}) * 1000000)::bigint end"
)
_MOMENTS: Final = {"occurred_at", "recorded_at"}

#: What of an entry and of an account is audited, as columns of a statement.
ENTRY_COLUMNS: Final = ", ".join(
    [
        *(MICROSECONDS.format(name) if name in _MOMENTS else name for name in HASHED_COLUMNS),
        "previous_hash",
        "hash",
    ]
)
ACCOUNT_COLUMNS: Final = "member_id, available, pending, held, debt, entry_seq, entry_hash"
LOT_COLUMNS: Final = "member_id, id, state, points, remaining"
ALLOCATION_COLUMNS: Final = "member_id, entry_seq, lot_id, points"

_SNAPSHOT: Final = text("set transaction isolation level repeatable read, read only")
_ACCOUNT: Final = text(
    f"select {ACCOUNT_COLUMNS} from accounts where member_id = :member_id"  # noqa: S608
)
_LOTS: Final = text(
    f"select {LOT_COLUMNS} from point_lots where member_id = :member_id order by id"  # noqa: S608
)
_PAGE: Final = text(
    f"""
    select {ENTRY_COLUMNS}, (
      select coalesce(json_agg(json_build_array(lot_id, points)), '[]')
      from lot_allocations as parts
      where parts.member_id = point_entries.member_id and parts.entry_seq = point_entries.seq
    )::text
    from point_entries where member_id = :member_id and seq > :after order by seq limit :limit
    """  # noqa: S608
)
_STRAYS: Final = text(
    f"""
    select {ALLOCATION_COLUMNS} from lot_allocations as parts
    where member_id = :member_id and not exists (
      select 1 from point_entries
      where point_entries.member_id = parts.member_id and point_entries.seq = parts.entry_seq
    ) order by entry_seq
    """  # noqa: S608
)


async def begin_snapshot(session: AsyncSession) -> None:
    """See all that follows as it is now. The first statement of a transaction."""
    await execute(session, _SNAPSHOT)


async def account_row(session: AsyncSession, *, member_id: str) -> Row | None:
    """A member's account as an audit reads it."""
    row = (await execute(session, _ACCOUNT, {"member_id": member_id})).one_or_none()
    return None if row is None else tuple(row)


async def lot_rows(session: AsyncSession, *, member_id: str) -> Sequence[Row]:
    """A member's lots as an audit reads them."""
    return [tuple(row) for row in await execute(session, _LOTS, {"member_id": member_id})]


async def entry_page(
    session: AsyncSession, *, member_id: str, after: int, limit: int
) -> Sequence[tuple[Row, Parts]]:
    """A member's next entries as an audit reads them, each with its allocations."""
    given = {"member_id": member_id, "after": after, "limit": limit}
    rows = await execute(session, _PAGE, given)
    return [(tuple(row[:-1]), [tuple(part) for part in orjson.loads(row[-1])]) for row in rows]


async def stray_rows(session: AsyncSession, *, member_id: str) -> Sequence[Row]:
    """A member's allocations that belong to no entry."""
    return [tuple(row) for row in await execute(session, _STRAYS, {"member_id": member_id})]
