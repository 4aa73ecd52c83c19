"""Checkpoints: the whole ledger at one moment, so that nothing can be cut off unnoticed."""

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import structlog

from services.loyalty.domain.chain import ACCOUNTS, checkpoint_hash, head_line, microseconds
from services.loyalty.store import checkpoints as store
from services.loyalty.store.tables import LedgerCheckpoint
from shared.db import Transaction

_log = structlog.get_logger()

#: Members looked at by one statement, well inside its timeout even if each has a long history.
_SLICE: Final = 5_000


@dataclass
class _Sums:
    """What moved since the checkpoint before, as it is gathered."""

    members: int = 0
    entries: int = 0
    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ACCOUNTS, 0))
    digest: Any = field(default_factory=hashlib.sha256)


async def take_checkpoint(transaction: Transaction, *, every: timedelta) -> int:
    """Take a checkpoint if the last is old enough and anything has moved since; says how many.

    All of it sees one snapshot. Totals are those of the checkpoint before and of the entries since,
    so the work is what moved, besides one look at each account's number.
    """
    session, now = transaction.session, transaction.now
    if not await store.begin_checkpoint(session):
        return 0
    before = await store.last_checkpoint(session)
    if before is not None and before.taken_at > now - every:
        return 0
    number = before.number + 1 if before else 1
    sums = await _gather(transaction, number=number)
    if sums.entries == 0:
        return 0
    checkpoint = _checkpoint(
        transaction, sums, before=before, balances=dict(await store.balances_of_all(session))
    )
    store.add_checkpoint(session, checkpoint)
    # The log leaves the database: whoever keeps it can tell a history rewritten as a whole.
    _log.info("ledger checkpoint", number=number, hash=checkpoint.hash.hex())
    return 1


async def _gather(transaction: Transaction, *, number: int) -> _Sums:
    """Write the heads of all who moved, slice by slice, and add up their entries."""
    session, sums, after = transaction.session, _Sums(), ""
    while True:
        upto = await store.slice_end(session, after=after, size=_SLICE)
        heads = await store.moved_heads(session, after=after, upto=upto)
        if heads:
            added = await store.add_heads(session, heads, number=number)
            sums.entries += added.entries
            for name, points in added.totals.items():
                sums.totals[name] += points
        for head in heads:
            sums.members += head.seq_before == 0
            line = head_line(member_id=head.member_id, seq=head.seq, entry_hash=head.hash)
            sums.digest.update(line)
        if upto is None:
            return sums
        after = upto


def _checkpoint(
    transaction: Transaction,
    sums: _Sums,
    *,
    before: LedgerCheckpoint | None,
    balances: dict[str, int],
) -> LedgerCheckpoint:
    totals = {
        name: points + (before.totals[name] if before else 0)
        for name, points in sums.totals.items()
    }
    columns: dict[str, Any] = {
        "number": before.number + 1 if before else 1,
        "members": sums.members + (before.members if before else 0),
        "entries": sums.entries + (before.entries if before else 0),
        "totals": totals,
        "balances": balances,
        "digest": sums.digest.digest(),
    }
    previous = before.hash if before else None
    return LedgerCheckpoint(
        **columns,
        taken_at=transaction.now,
        previous_hash=previous,
        hash=checkpoint_hash(
            previous=previous, taken_at_us=microseconds(transaction.now), **columns
        ),
    )
