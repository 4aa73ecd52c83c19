"""The statements of a reconciliation, which compare some members' books with one another."""

from typing import Final

from sqlalchemy import TextClause, text

# Two statements rather than one with a condition that may be void, for which no index serves.
_BETWEEN: Final = "member_id > :after and member_id <= :upto"
_BEYOND: Final = "member_id > :after"
_HEADS: Final = """
    select distinct on (member_id) member_id, seq, hash from ledger_checkpoint_heads
    where {slice} and checkpoint <= :checkpoint order by member_id, seq desc
"""

#: How many members and entries there are, and the members whose books disagree: as a JSON array of
#: `{"member_id", "identities"}`.
_COMPARE: Final = f"""
    with entries as (
      select member_id, count(*) as entries, min(seq) as first_seq, max(seq) as last_seq,
        sum(case when credit_account = 'available' then points else 0 end)
          - sum(case when debit_account = 'available' then points else 0 end) as available,
        sum(case when credit_account = 'pending' then points else 0 end)
          - sum(case when debit_account = 'pending' then points else 0 end) as pending,
        sum(case when credit_account = 'held' then points else 0 end)
          - sum(case when debit_account = 'held' then points else 0 end) as held,
        sum(case when debit_account = 'debt' then points else 0 end)
          - sum(case when credit_account = 'debt' then points else 0 end) as debt
      from point_entries where {{slice}} group by member_id
    ), lots as (
      select member_id, id, state, remaining from point_lots where {{slice}}
    ), open_lots as (
      select member_id, sum(remaining) filter (where state = 'available') as available,
        sum(remaining) filter (where state = 'pending') as pending
      from lots group by member_id
    ), allocations as (
      select member_id, lot_id, sum(points) as points from lot_allocations
      where {{slice}} group by member_id, lot_id
    ), wrong_lots as (
      select distinct coalesce(lots.member_id, allocations.member_id) as member_id
      from lots full join allocations
        on allocations.member_id = lots.member_id and allocations.lot_id = lots.id
      -- What came along empty in a merge has its allocations under its first member.
      where lots.remaining is distinct from coalesce(allocations.points, 0)
    ), holds as (
      select member_id, sum(points) as held from redemptions
      where {{slice}} and state = 'held' group by member_id
    ), heads as ({_HEADS}),
    slice as (
      select * from accounts where {{slice}}
    ), everybody as (
      select member_id from slice union select member_id from entries
      union select member_id from lots union select member_id from heads
      union select member_id from wrong_lots union select member_id from holds
    ), compared as (
      select everybody.member_id, coalesce(entries.entries, 0) as entries, array_remove(array[
        case when slice.entry_seq is null then 'account_exists' end,
        case when (coalesce(open_lots.available, 0), coalesce(open_lots.pending, 0))
          <> (slice.available, slice.pending) then 'lots_are_balances' end,
        case when slice.entry_seq > 0 and (last.hash, last.available_after, last.pending_after,
            last.held_after, last.debt_after) is distinct from (slice.entry_hash,
            slice.available, slice.pending, slice.held, slice.debt)
          then 'last_entry_is_account' end,
        case when (coalesce(entries.available, 0), coalesce(entries.pending, 0),
            coalesce(entries.held, 0), coalesce(entries.debt, 0))
          <> (slice.available, slice.pending, slice.held, slice.debt)
          then 'entries_are_balances' end,
        case when wrong_lots.member_id is not null then 'allocations_are_lots' end,
        case when coalesce(holds.held, 0) <> slice.held then 'holds_are_held' end,
        case when (coalesce(entries.entries, 0), coalesce(entries.last_seq, 0),
            coalesce(entries.first_seq, 1)) <> (slice.entry_seq, slice.entry_seq, 1)
          then 'entries_are_dense' end,
        case when heads.seq is not null and (slice.entry_seq is null
            or slice.entry_seq < heads.seq or kept.hash is distinct from heads.hash)
          then 'checkpoint_is_kept' end
      ], null) as identities
      from everybody
      left join slice using (member_id) left join entries using (member_id)
      left join open_lots using (member_id) left join wrong_lots using (member_id)
      left join holds using (member_id) left join heads using (member_id)
      left join point_entries as last
        on last.member_id = slice.member_id and last.seq = slice.entry_seq
      left join point_entries as kept
        on kept.member_id = heads.member_id and kept.seq = heads.seq
    )
    select count(*) as members, coalesce(sum(entries), 0)::bigint as entries,
      coalesce(json_agg(json_build_object('member_id', member_id, 'identities', identities)
        order by member_id) filter (where identities <> '{{{{}}}}'), '[]')::text as disagreements
    from compared
"""  # noqa: S608 - constants

#: Points moved between accounts by the entries that the checkpoint covers.
_SUMS: Final = f"""
    with heads as ({_HEADS})
    select debit_account, credit_account, sum(points)::bigint as points
    from heads join point_entries as entries
      on entries.member_id = heads.member_id and entries.seq <= heads.seq
    group by debit_account, credit_account
"""  # noqa: S608


def _both(statement: str) -> tuple[TextClause, TextClause]:
    """For the members up to one, and for all that are left."""
    return text(statement.format(slice=_BETWEEN)), text(statement.format(slice=_BEYOND))


COMPARE: Final = _both(_COMPARE)
SUMS: Final = _both(_SUMS)
