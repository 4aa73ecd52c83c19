"""The audit of the whole ledger from its rows alone, in one pass and bounded memory.

Rows come as tuples of plain values, each table in order of member and number, from a database or
a dump alike. Of each member the first row that was altered, removed or moved is named; checkpoints
tell what no member's own rows can: that a member is gone, or cut back together with the account.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.loyalty.domain.audit_chain import Chain
from services.loyalty.domain.audit_checkpoints import CheckpointTally
from services.loyalty.domain.audit_rows import Finding, Findings, Row, Rows

#: How often progress is told, in entries.
_PROGRESS_EVERY: Final = 50_000


@dataclass(frozen=True, kw_only=True)
class LedgerRows:
    """Every table of the ledger as rows of plain values.

    members: member_id. accounts: member_id, available, pending, held, debt, entry_seq, entry_hash.
    lots: member_id, id, state, points, remaining. entries: domain.chain.HASHED_COLUMNS, then
    previous_hash and hash. allocations: member_id, entry_seq, lot_id, points. heads: member_id,
    seq, checkpoint, hash. All in order of their first two values. checkpoints, in order: number,
    taken_at (microseconds), members, entries, totals, balances, digest, previous_hash, hash.
    """

    members: Iterable[Row]
    accounts: Iterable[Row]
    lots: Iterable[Row]
    entries: Iterable[Row]
    allocations: Iterable[Row]
    heads: Iterable[Row]
    checkpoints: Iterable[Row]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an audit found. `faults` counts what disagrees; `findings` are the first of them."""

    members: int
    entries: int
    checkpoints: int
    #: Number and hash of the last checkpoint, to be kept outside; None when there is none.
    last_checkpoint: tuple[int, str] | None
    faults: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A checkpoint as somebody noted it outside the database."""

    number: int
    hash: str


def audit_ledger(
    rows: LedgerRows,
    *,
    most_findings: int = 20,
    expected: Expected | None = None,
    on_progress: Callable[[int], None] = lambda _entries: None,
) -> Audit:
    """Recompute every chain and compare everything that must agree."""
    walk = _Walk(rows, on_progress)
    findings = Findings(most_findings)
    for finding in itertools.chain(walk.members(), walk.checkpoints(expected)):
        findings.add(finding)
    return Audit(
        members=walk.member_count,
        entries=walk.entry_count,
        checkpoints=walk.tally.count,
        last_checkpoint=walk.tally.last,
        faults=findings.count,
        findings=tuple(findings.first),
    )


class _Walk:
    """Goes through all tables at once, member by member."""

    def __init__(self, rows: LedgerRows, on_progress: Callable[[int], None]) -> None:
        self._members, self._accounts = Rows(rows.members), Rows(rows.accounts)
        self._lots, self._entries = Rows(rows.lots), Rows(rows.entries)
        self._allocations, self._heads = Rows(rows.allocations), Rows(rows.heads)
        self._checkpoints = rows.checkpoints
        self._on_progress = on_progress
        self._clean = True
        self.tally = CheckpointTally()
        self.member_count = self.entry_count = 0

    def members(self) -> Iterator[Finding]:
        """The first finding of each member."""
        streams = (
            self._members, self._accounts, self._lots, self._entries, self._allocations,
            self._heads,
        )  # fmt: skip
        while keys := [stream.key for stream in streams if stream.key is not None]:
            finding = self._member(min(keys))
            if finding is not None:
                self._clean = False
                yield finding

    def checkpoints(self, expected: Expected | None) -> Iterator[Finding]:
        """What is wrong with the checkpoints; totals only where all members are in order."""
        yield from self.tally.findings(self._checkpoints, totals=self._clean)
        if expected is None:
            return
        newest = max(self.tally.hashes, default=0)
        if expected.number > newest:
            yield Finding("checkpoint_absent", {"checkpoint": expected.number, "newest": newest})
        elif self.tally.hashes.get(expected.number) != expected.hash:
            yield Finding("checkpoint_not_as_noted", {"checkpoint": expected.number})

    def _member(self, member_id: str) -> Finding | None:
        self.member_count += 1
        known = list(self._members.of(member_id))
        accounts = list(self._accounts.of(member_id))
        marks = self.tally.marks(member_id, list(self._heads.of(member_id)))
        chain = Chain(member_id)
        for row in self._entries.of(member_id):
            seq = row[1]
            chain.strays(self._allocations.before(member_id, seq))
            parts = [(one[2], one[3]) for one in self._allocations.at(member_id, seq)]
            chain.add(row, parts)
            marks.add(seq, row)
            self.entry_count += 1
            if self.entry_count % _PROGRESS_EVERY == 0:
                self._on_progress(self.entry_count)
        chain.strays(self._allocations.of(member_id))
        chain.close(accounts[0] if accounts else None, list(self._lots.of(member_id)))
        if chain.finding is not None and "seq" in chain.finding.facts:
            return chain.finding
        # A cut through the chain explains what the account and the lots say, not the reverse.
        cut = marks.finding(chain.seq)
        return cut or _not_once(member_id, known, accounts) or chain.finding


def _not_once(member_id: str, known: Sequence[Row], accounts: Sequence[Row]) -> Finding | None:
    """A member's own row or account that is not there, or there more than once.

    One row of two could be the clean one that an audit compares, the other the one that is used.
    """
    for code, wrong in (
        ("member_missing", not known),
        ("account_missing", not accounts),
        ("member_twice", len(known) > 1),
        ("account_twice", len(accounts) > 1),
    ):
        if wrong:
            return Finding(code, {"member": member_id})
    return None
