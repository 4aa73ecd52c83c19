"""The audit of checkpoints: each is recomputed from the heads and entries that it covers."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from services.loyalty.domain.audit_rows import Finding, Row
from services.loyalty.domain.chain import ACCOUNTS, MEMBER_ACCOUNTS, checkpoint_hash, head_line


class _Sums:
    """What one checkpoint adds to the one before."""

    def __init__(self) -> None:
        self.members = 0
        self.entries = 0
        self.totals = dict.fromkeys(ACCOUNTS, 0)
        self.digest = hashlib.sha256()


class Marks:
    """A member's heads, beside the entries as they pass by."""

    def __init__(self, member_id: str, heads: Sequence[Row], sums: dict[int, _Sums]) -> None:
        self._member_id = member_id
        self._heads = heads
        self._sums = sums
        self._place = 0
        self._rewritten: Row | None = None

    def add(self, seq: int, row: Row) -> None:
        """Count an entry under the checkpoint that covers it, and compare where one stood."""
        while self._place < len(self._heads) and self._heads[self._place][1] < seq:
            self._place += 1
        if self._place == len(self._heads):
            return
        head = self._heads[self._place]
        sums = self._sums[head[2]]
        sums.entries += 1
        points = row[5]
        if isinstance(points, int) and row[3] in sums.totals and row[4] in sums.totals:
            sums.totals[row[3]] -= points
            sums.totals[row[4]] += points
        if head[1] == seq and head[3] != row[-1] and self._rewritten is None:
            self._rewritten = head

    def finding(self, last_seq: int) -> Finding | None:
        """What the heads tell that the entries do not."""
        if self._rewritten is not None:
            return self._found("chain_rewritten", self._rewritten)
        beyond = [head for head in self._heads if head[1] > last_seq]
        if not beyond:
            return None
        return self._found("tail_missing" if last_seq else "member_gone", beyond[0], last_seq + 1)

    def _found(self, code: str, head: Row, seq: int | None = None) -> Finding:
        facts = {"member": self._member_id, "seq": seq or head[1], "checkpoint": head[2]}
        return Finding(code, facts)


class CheckpointTally:
    """Adds up what each checkpoint must say."""

    def __init__(self) -> None:
        self._sums: dict[int, _Sums] = {}
        self.count = 0
        self.last: tuple[int, str] | None = None
        #: By number, in hexadecimal.
        self.hashes: dict[int, str] = {}

    def marks(self, member_id: str, heads: Sequence[Row]) -> Marks:
        """Note a member's heads; members come in order of their ids."""
        for place, (_, seq, number, entry_hash) in enumerate(heads):
            sums = self._sums.setdefault(number, _Sums())
            sums.members += place == 0
            sums.digest.update(head_line(member_id=member_id, seq=seq, entry_hash=entry_hash))
        return Marks(member_id, heads, self._sums)

    def findings(self, checkpoints: Iterable[Row], *, totals: bool) -> Iterator[Finding]:
        """What is wrong with the checkpoints; `totals`: whether the entries can be relied on."""
        so_far, before = _Sums(), None
        for row in checkpoints:
            number, own_hash = row[0], row[8]
            self.count += 1
            for missing in range(self.count, number):
                yield Finding("checkpoint_missing", {"checkpoint": missing})
            self.count = max(self.count, number)
            self.last = (number, own_hash.hex())
            self.hashes[number] = own_hash.hex()
            sums = self._sums.pop(number, _Sums())
            wrong = self._wrong(row, before, sums, so_far, totals=totals)
            if wrong is not None:
                yield Finding(wrong, {"checkpoint": number})
            before = own_hash
        for number in sorted(self._sums):
            yield Finding("checkpoint_missing", {"checkpoint": number})

    def _wrong(
        self, row: Row, before: bytes | None, sums: _Sums, so_far: _Sums, *, totals: bool
    ) -> str | None:
        _, _, members, entries, by_account, balances, digest, previous, _ = row
        so_far.members += sums.members
        so_far.entries += sums.entries
        for name, points in sums.totals.items():
            so_far.totals[name] += points
        if previous != before or _recomputed(row) != row[8]:
            return "checkpoint_altered"
        if digest != sums.digest.digest():
            return "heads_altered"
        if not totals:
            return None
        if (members, entries, by_account) != (so_far.members, so_far.entries, so_far.totals):
            return "checkpoint_totals"
        held = {name: by_account[name] for name in MEMBER_ACCOUNTS}
        return None if balances == {**held, "debt": -held["debt"]} else "checkpoint_unbalanced"


def _recomputed(row: Row) -> bytes | None:
    number, taken_at, members, entries, totals, balances, digest, previous, _ = row
    complete: Any = (
        isinstance(totals, dict)
        and isinstance(balances, dict)
        and totals.keys() == set(ACCOUNTS)
        and balances.keys() == set(MEMBER_ACCOUNTS)
    )
    if not complete:
        return None
    return checkpoint_hash(
        previous=previous,
        number=number,
        taken_at_us=taken_at,
        members=members,
        entries=entries,
        totals=totals,
        balances=balances,
        digest=digest,
    )
