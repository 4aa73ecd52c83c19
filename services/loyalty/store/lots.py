"""Reading lots: listed, one with what lapsed of it, and all that are open in settled books."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

import orjson
from sqlalchemy import Row, text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.ledger import Account, Balances, Stamp
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.points import release_due
from shared.sql import execute

LotFilter = Literal["open", "all"]

_LIST: Final = text(
    """
    select * from point_lots
    where member_id = :member_id and id < :before
      and (:all or (remaining > 0 and state <> 'closed'))
    order by id desc limit :limit
    """
)
_ONE: Final = text(
    """
    select lots.*, (
      select coalesce(-sum(parts.points), 0)::bigint from lot_allocations as parts
      join point_entries as entries
        on entries.member_id = parts.member_id and entries.seq = parts.entry_seq
      where parts.member_id = lots.member_id and parts.lot_id = lots.id
        and entries.kind in ('expired', 'reinstated')
    ) as lapsed
    from point_lots as lots where member_id = :member_id and id = :lot_id
    """
)
_OPEN: Final = text(
    """
    select accounts.*, (
      select json_agg(lots) from point_lots as lots
      where lots.member_id = accounts.member_id and lots.remaining > 0
        and (lots.state = 'available' or (lots.state = 'pending' and lots.available_at <= :now))
    )::text as lots
    from accounts join members on members.id = accounts.member_id
    where accounts.member_id = :member_id and members.state <> 'erased'
    """
)
#: After all ids.
_BEYOND_ALL: Final = "~"


@dataclass(frozen=True, kw_only=True)
class StoredLot:
    """A lot as stored, and how many of its points lapsed and were not given back."""

    lot: Lot
    lapsed: int


async def find_lot(session: AsyncSession, *, member_id: str, lot_id: str) -> StoredLot | None:
    """One lot of a member; None when there is none."""
    found = await execute(session, _ONE, {"member_id": member_id, "lot_id": lot_id})
    row = found.one_or_none()
    return None if row is None else StoredLot(lot=stored_lot(row), lapsed=row.lapsed)


async def list_lots(
    session: AsyncSession, *, member_id: str, which: LotFilter, before: str | None, limit: int
) -> Sequence[Lot]:
    """A member's lots as they are stored, newest first, those older than `before`."""
    rows = await execute(
        session,
        _LIST,
        {
            "member_id": member_id,
            "all": which == "all",
            "before": before or _BEYOND_ALL,
            "limit": limit,
        },
    )
    return [stored_lot(row) for row in rows]


async def settled_books(session: AsyncSession, *, member_id: str, now: datetime) -> Account | None:
    """A member's usable lots and balances, once what is due has been released and repaid debt.

    By the very decision that a write begins with, only that nothing is saved. None if unknown.
    """
    found = await execute(session, _OPEN, {"member_id": member_id, "now": now})
    row = found.one_or_none()
    if row is None:
        return None
    lots = [_lot_of(one) for one in orjson.loads(row.lots or "[]")]
    account = Account(
        member_id=member_id,
        balances=Balances(
            available=row.available, pending=row.pending, held=row.held, debt=row.debt
        ),
        seq=row.entry_seq,
        hash=row.entry_hash,
        lots={lot.id: lot for lot in lots},
    )
    released = release_due(account, stamp=Stamp(at=now, actor="reader"))
    return replace(released, entries=())


def stored_lot(row: Row[Any]) -> Lot:
    """A row of `point_lots` as the domain knows it."""
    return Lot(
        id=row.id,
        cause=Cause(kind=row.cause_kind, id=row.cause_id),
        state=row.state,
        points=row.points,
        remaining=row.remaining,
        available_at=row.available_at,
        expires_at=row.expires_at,
        programme_version=row.programme_version,
        created_at=row.created_at,
    )


def _lot_of(written: dict[str, Any]) -> Lot:
    return Lot(
        id=written["id"],
        cause=Cause(kind=written["cause_kind"], id=written["cause_id"]),
        state=written["state"],
        points=written["points"],
        remaining=written["remaining"],
        available_at=_moment(written["available_at"]),
        expires_at=_moment(written["expires_at"]),
        programme_version=written["programme_version"],
        created_at=datetime.fromisoformat(written["created_at"]),
    )


def _moment(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)
