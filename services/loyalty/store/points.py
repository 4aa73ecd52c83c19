"""Reading points: balances, statement, what is due."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Row, text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.ledger import AccountName, Balances, EntryKind
from services.loyalty.domain.lots import Allocation
from services.loyalty.store.due import LOOKED_AT
from shared.kernel.paging import Page, encode_cursor, page_of
from shared.sql import execute

_DUE: Final = text(
    """
    select member_id from (
      select member_id, available_at from point_lots
      where state = 'pending' and available_at <= :now
        and member_id <> all(cast(:but as text[]))
      order by available_at limit :lots
    ) as due group by member_id order by min(available_at), member_id limit :limit
    """
)
_NOW: Final = text(
    """
    select members.id as member_id, available, pending, held, debt,
      (select coalesce(sum(remaining), 0)::bigint from point_lots as lots
       where lots.member_id = members.id and lots.state = 'pending' and lots.available_at <= :now
      ) as due
    from members join accounts on accounts.member_id = members.id
    where members.id = :member_id and members.state <> 'erased'
    """
)
_THEN: Final = text(
    """
    select available_after as available, pending_after as pending, held_after as held,
      debt_after as debt
    from point_entries where member_id = :member_id and seq < coalesce((
      select min(later.seq) from point_entries as later
      where later.member_id = :member_id and later.recorded_at > :at
    ), :beyond)
    order by seq desc limit 1
    """
)
_ENTRIES: Final = text(
    """
    select point_entries.*, coalesce(point_entries.reason, (
      select told.reason from entry_reasons as told
      where told.cause_kind = point_entries.cause_kind
        and told.cause_id = point_entries.cause_id and told.member_id = point_entries.member_id
    )) as told_reason, (
      select json_agg(json_build_object('lot_id', lot_id, 'points', points) order by lot_id)
      from lot_allocations as parts
      where parts.member_id = point_entries.member_id and parts.entry_seq = point_entries.seq
    )::text as lots
    from point_entries where member_id = :member_id and seq < :before
      and not exists (select from members where id = :member_id and state = 'erased')
    order by seq desc limit :limit
    """
)
_BEYOND_ALL: Final = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class StatementLine:
    """An entry as the statement shows it."""

    member_id: str
    seq: int
    kind: EntryKind
    debit_account: AccountName
    credit_account: AccountName
    moved: int
    after: Balances
    cause_kind: str
    cause_id: str
    reason: str | None
    occurred_at: datetime
    recorded_at: datetime
    lots: tuple[Allocation, ...]

    @property
    def points(self) -> int:
        """What the entry changes in all that the member can count on; may be nothing."""
        before = self.after.moved(
            debit=self.credit_account, credit=self.debit_account, points=self.moved
        )
        return self.after.total - before.total


async def members_with_due_lots(
    session: AsyncSession, *, now: datetime, but: Collection[str], limit: int
) -> Sequence[str]:
    """Some members whose points have become due, those first whose have been so longest; without
    these.
    """
    page = {"now": now, "but": list(but), "lots": LOOKED_AT, "limit": limit}
    rows = await execute(session, _DUE, page)
    return [row.member_id for row in rows]


async def balances_now(session: AsyncSession, *, member_id: str, now: datetime) -> Balances | None:
    """A member's balances, with points that are due counted as released; None if unknown."""
    found = await execute(session, _NOW, {"member_id": member_id, "now": now})
    row = found.one_or_none()
    return None if row is None else settled(_balances(row), due=row.due)


async def balances_at(session: AsyncSession, *, member_id: str, at: datetime) -> Balances:
    """A member's balances before the first entry that was recorded after a moment.

    Who waited for the account has an earlier moment than the entries it waited for: what counts is
    the chain.
    """
    given = {"member_id": member_id, "at": at, "beyond": _BEYOND_ALL}
    row = (await execute(session, _THEN, given)).one_or_none()
    return Balances() if row is None else _balances(row)


async def statement(
    session: AsyncSession, *, member_id: str, before: int | None, limit: int
) -> Page[StatementLine]:
    """A page of a member's entries, newest first; empty once the member is erased."""
    rows = await execute(
        session,
        _ENTRIES,
        {"member_id": member_id, "before": before or _BEYOND_ALL, "limit": limit + 1},
    )
    lines = [_line(row) for row in rows]
    return page_of(lines, limit=limit, mark=lambda line: encode_cursor(line.seq))


def settled(balances: Balances, *, due: int) -> Balances:
    """The balances as they will be once what is due has been released and has repaid debt."""
    repaid = min(due, balances.debt)
    return Balances(
        available=balances.available + due - repaid,
        pending=balances.pending - due,
        held=balances.held,
        debt=balances.debt - repaid,
    )


def _balances(row: Row[Any]) -> Balances:
    return Balances(available=row.available, pending=row.pending, held=row.held, debt=row.debt)


def _line(row: Row[Any]) -> StatementLine:
    return StatementLine(
        member_id=row.member_id,
        seq=row.seq,
        kind=row.kind,
        debit_account=row.debit_account,
        credit_account=row.credit_account,
        moved=row.points,
        after=Balances(
            available=row.available_after,
            pending=row.pending_after,
            held=row.held_after,
            debt=row.debt_after,
        ),
        cause_kind=row.cause_kind,
        cause_id=row.cause_id,
        reason=row.told_reason,
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        lots=tuple(Allocation(**part) for part in orjson.loads(row.lots or "[]")),
    )
