"""Checkpoints: the whole ledger at one moment, so that nothing can be cut off unnoticed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import structlog

from services.loyalty.domain.chain import (
    ACCOUNTS,
    MEMBER_ACCOUNTS,
    checkpoint_hash,
    head_line,
    microseconds,
)
from services.loyalty.domain.reconciliations import is_recent
from services.loyalty.store import checkpoints as store
from services.loyalty.store.tables import LedgerCheckpoint
from shared.db import Transaction

_log = structlog.get_logger()

#: Members looked at by one statement, well inside its timeout even if each has a long history.
_SLICE: Final = 5_000


class AccountsDisagree(Exception):
    """The accounts do not add up to the entries, so the ledger must not be written down like this.

    A checkpoint is for ever: it would keep an error alive that is mended an hour later. Trying
    again does not help until somebody has mended the books; a reconciliation names whose they are.
    """


@dataclass
class _Sums:
    """What moved since the checkpoint before, as it is gathered."""

    heads: int = 0
    members: int = 0
    entries: int = 0
    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ACCOUNTS, 0))
    digest: Any = field(default_factory=hashlib.sha256)


async def take_checkpoint(transaction: Transaction, *, every: timedelta) -> int:
    """Take a checkpoint if the last is old enough and anything has moved since; says how many.

    All of it sees one snapshot. Totals are those of the checkpoint before and of the entries since,
    so the work is what moved, besides one look at each account's number. Raises AccountsDisagree,
    which undoes everything.
    """
    session, now = transaction.session, transaction.now
    if not await store.begin_checkpoint(session):
        return 0
    before = await store.last_checkpoint(session)
    if before is not None and is_recent(before.taken_at, now=now, every=every):
        return 0
    number = before.number + 1 if before else 1
    sums = await _gather(transaction, number=number)
    if sums.heads == 0:
        return 0
    balances = await store.balances_of_all(session)
    checkpoint = _checkpoint(transaction, sums, before=before, balances=dict(balances))
    _refuse_unless_equal(checkpoint.totals, balances)
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
        sums.heads += len(heads)
        for head in heads:
            sums.members += head.seq_before == 0
            line = head_line(member_id=head.member_id, seq=head.seq, entry_hash=head.hash)
            sums.digest.update(line)
        if upto is None:
            return sums
        after = upto


def _refuse_unless_equal(totals: Mapping[str, int], balances: Mapping[str, int]) -> None:
    entries = {name: totals[name] * (-1 if name == "debt" else 1) for name in MEMBER_ACCOUNTS}
    if entries != balances:
        raise AccountsDisagree(
            f"the accounts add up to {dict(balances)}, their entries to {entries}: no checkpoint is"
            " taken until the books are mended; reconciliation and `make verify` name the members"
        )


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
