"""Checks of the whole ledger from its rows alone, as an auditor would do it."""

import json
from typing import Any, Protocol

from services.loyalty.domain.ledger import Balances, Entry, Stamp, entry_hash
from services.loyalty.domain.lots import Allocation, Cause

_ACCOUNTS = """
    select a.*,
      coalesce((select sum(remaining) from point_lots l
        where l.member_id = a.member_id and l.state = 'available'), 0)::bigint as lots_available,
      coalesce((select sum(remaining) from point_lots l
        where l.member_id = a.member_id and l.state = 'pending'), 0)::bigint as lots_pending
    from accounts a
"""
# What the account says of growth is what its entries since then say: batches rely on it.
_GROWTH = """
    select a.member_id, a.growth, a.growth_since, sum(g.growth) as entries from accounts a
    left join growth_entries g on g.member_id = a.member_id and g.occurred_at >= a.growth_since
    group by a.member_id having coalesce(sum(g.growth), 0) <> a.growth
"""
_LOTS = """
    select l.id from point_lots l left join lot_allocations p
      on p.member_id = l.member_id and p.lot_id = l.id
    group by l.member_id, l.id having coalesce(sum(p.points), 0) <> l.remaining
"""
_ENTRIES = """
    select point_entries.*, (
      select coalesce(json_agg(json_build_array(lot_id, points)), '[]')::text
      from lot_allocations as parts
      where parts.member_id = point_entries.member_id and parts.entry_seq = point_entries.seq
    ) as allocations
    from point_entries where member_id = :member_id order by seq
"""


class Readable(Protocol):
    """Whatever shows the rows of a loyalty database."""

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """What a statement finds."""
        ...


async def audit(loyalty: Readable) -> int:
    """Check every member's books; says how many entries there are."""
    count = 0
    for account in await loyalty.rows(_ACCOUNTS):
        entries = await loyalty.rows(_ENTRIES, member_id=account.member_id)
        _check(account, entries)
        count += len(entries)
    assert await loyalty.rows(_LOTS) == []
    assert await loyalty.rows(_GROWTH) == []
    return count


def _check(account: Any, entries: list[Any]) -> None:
    balances = Balances()
    before = None
    for seq, row in enumerate(entries, start=1):
        balances = balances.moved(
            debit=row.debit_account, credit=row.credit_account, points=row.points
        )
        entry = _entry(row)
        assert (row.seq, entry.after) == (seq, balances)
        assert row.previous_hash == before
        assert entry_hash(entry) == row.hash
        before = row.hash
    on_record = Balances(
        available=account.available, pending=account.pending, held=account.held, debt=account.debt
    )
    assert on_record == balances
    assert (account.entry_seq, account.entry_hash) == (len(entries), before)
    assert account.lots_available == balances.available
    assert account.lots_pending == balances.pending


def _entry(row: Any) -> Entry:
    return Entry(
        member_id=row.member_id,
        seq=row.seq,
        kind=row.kind,
        debit_account=row.debit_account,
        credit_account=row.credit_account,
        points=row.points,
        after=Balances(
            available=row.available_after,
            pending=row.pending_after,
            held=row.held_after,
            debt=row.debt_after,
        ),
        cause=Cause(kind=row.cause_kind, id=row.cause_id, reason=row.reason),
        programme_version=row.programme_version,
        occurred_at=row.occurred_at,
        stamp=Stamp(at=row.recorded_at, actor=row.actor),
        previous_hash=row.previous_hash,
        hash=row.hash,
        allocations=tuple(
            Allocation(lot_id=lot_id, points=points)
            for lot_id, points in json.loads(row.allocations)
        ),
    )
