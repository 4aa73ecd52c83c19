"""Checkpoints of the ledger: which members moved, what their entries add, and the chain itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.audit_rows import Row
from services.loyalty.domain.chain import ACCOUNTS, MEMBER_ACCOUNTS
from services.loyalty.store.tables import LedgerCheckpoint
from shared.sql import execute

_TURN: Final = 4_203_162
_SNAPSHOT: Final = text("set transaction isolation level repeatable read")
_TAKE_TURN: Final = text("select pg_try_advisory_xact_lock(:turn)")
_UPTO: Final = text(
    "select member_id from accounts where member_id > :after order by member_id"
    " offset :others limit 1"
)
# By the index of heads alone, member by member, and then each mover's last entry by its key: none
# but those, hence the materialized step, past which the planner cannot join. Whoever was set back
# has not moved, and whose account does not say what the last entry says is left out: that is for
# reconciliation and verification to tell, and must not become history.
_MOVED: Final = text(
    """
    with standing as materialized (
      select member_id, entry_seq as seq, entry_hash as hash, (
        select coalesce(max(seq), 0) from ledger_checkpoint_heads as heads
        where heads.member_id = accounts.member_id
      ) as seq_before
      from accounts
      where member_id > :after and (cast(:upto as text) is null or member_id <= :upto)
    )
    select member_id, seq, hash, seq_before from standing
    where seq > seq_before and hash = (
      select hash from point_entries as entries
      where entries.member_id = standing.member_id and entries.seq = standing.seq
    )
    """
)
_HEADS_OF: Final = text(
    "select member_id, seq, checkpoint, hash from ledger_checkpoint_heads"
    " where member_id = :member_id order by seq"
)
_ADD_HEADS: Final = text(
    """
    insert into ledger_checkpoint_heads (member_id, seq, checkpoint, hash)
    select member_id, seq, :number, hash
    from unnest(cast(:member_ids as text[]), cast(:seqs as bigint[]), cast(:hashes as bytea[]))
      as given(member_id, seq, hash)
    """
)
_ADDED: Final = text(
    """
    select debit_account, credit_account, sum(points)::bigint as points, count(*) as entries
    from unnest(
      cast(:member_ids as text[]), cast(:before as bigint[]), cast(:seqs as bigint[])
    ) as given(member_id, seq_before, seq_now)
    join point_entries as entries on entries.member_id = given.member_id
      and entries.seq > given.seq_before and entries.seq <= given.seq_now
    group by debit_account, credit_account
    """
)
_BALANCES: Final = text(
    """
    select coalesce(sum(available), 0)::bigint as available,
      coalesce(sum(pending), 0)::bigint as pending, coalesce(sum(held), 0)::bigint as held,
      coalesce(sum(debt), 0)::bigint as debt
    from accounts
    """
)
_ENTRIES: Final = text("select coalesce(sum(entry_seq), 0)::bigint from accounts")


@dataclass(frozen=True, kw_only=True)
class MovedHead:
    """Where a member's chain stands, and where the last checkpoint that saw it move had it."""

    member_id: str
    seq: int
    hash: bytes
    seq_before: int


@dataclass(frozen=True, kw_only=True)
class Added:
    """What entries add up to: how many, and net credits by account."""

    entries: int
    totals: Mapping[str, int]


async def begin_checkpoint(session: AsyncSession) -> bool:
    """See all that follows as it is now; False when somebody else is taking a checkpoint."""
    await execute(session, _SNAPSHOT)
    return bool((await execute(session, _TAKE_TURN, {"turn": _TURN})).scalar_one())


async def last_checkpoint(session: AsyncSession) -> LedgerCheckpoint | None:
    """The newest checkpoint, if there is any."""
    newest = select(LedgerCheckpoint).order_by(col(LedgerCheckpoint.number).desc()).limit(1)
    return (await session.exec(newest)).one_or_none()


async def find_checkpoint(session: AsyncSession, *, number: int) -> LedgerCheckpoint | None:
    """The checkpoint of a number."""
    return await session.get(LedgerCheckpoint, number)


async def head_rows(session: AsyncSession, *, member_id: str) -> Sequence[Row]:
    """Where checkpoints saw a member's chain stand, as an audit reads it."""
    return [tuple(row) for row in await execute(session, _HEADS_OF, {"member_id": member_id})]


async def slice_end(session: AsyncSession, *, after: str, size: int) -> str | None:
    """The last member of the next `size` members; None when fewer are left."""
    found = await execute(session, _UPTO, {"after": after, "others": size - 1})
    member_id: str | None = found.scalar_one_or_none()
    return member_id


async def moved_heads(
    session: AsyncSession, *, after: str, upto: str | None
) -> Sequence[MovedHead]:
    """The members of a slice whose chains have grown since their last head, in order of id."""
    rows = await execute(session, _MOVED, {"after": after, "upto": upto})
    heads = [
        MovedHead(member_id=row.member_id, seq=row.seq, hash=row.hash, seq_before=row.seq_before)
        for row in rows
    ]
    return sorted(heads, key=lambda head: head.member_id)


async def add_heads(session: AsyncSession, heads: Sequence[MovedHead], *, number: int) -> Added:
    """Write heads of a checkpoint; says what the entries since the heads before add up to."""
    members = [head.member_id for head in heads]
    seqs = [head.seq for head in heads]
    await execute(
        session,
        _ADD_HEADS,
        {
            "number": number,
            "member_ids": members,
            "seqs": seqs,
            "hashes": [head.hash for head in heads],
        },
    )
    rows = await execute(
        session,
        _ADDED,
        {"member_ids": members, "before": [head.seq_before for head in heads], "seqs": seqs},
    )
    totals, entries = dict.fromkeys(ACCOUNTS, 0), 0
    for row in rows:
        totals[row.debit_account] -= row.points
        totals[row.credit_account] += row.points
        entries += row.entries
    return Added(entries=entries, totals=totals)


async def balances_of_all(session: AsyncSession) -> Mapping[str, int]:
    """What all account rows add up to, by account."""
    row = (await execute(session, _BALANCES)).one()
    return {name: getattr(row, name) for name in MEMBER_ACCOUNTS}


async def entries_of_all(session: AsyncSession) -> int:
    """How many entries all members have, by their accounts."""
    return int((await execute(session, _ENTRIES)).scalar_one())


def add_checkpoint(session: AsyncSession, checkpoint: LedgerCheckpoint) -> None:
    """Record a checkpoint; it is written when the transaction ends."""
    session.add(checkpoint)
