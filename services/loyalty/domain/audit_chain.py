"""The audit of one member: the chain of entries, the lots, and the account they must lead to."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from services.loyalty.domain.audit_rows import Finding, Row
from services.loyalty.domain.chain import HASHED_COLUMNS, MEMBER_ACCOUNTS, row_hash

_WIDTH: Final = len(HASHED_COLUMNS)
#: Where an account's balance stands, and what a credit does to it: debt is owed the other way.
_PLACES: Final = {"available": (0, 1), "pending": (1, 1), "held": (2, 1), "debt": (3, -1)}

Parts = Sequence[tuple[str, int]]


class Chain:
    """A member's entries as they pass by; remembers the first that is not as it was written.

    What was altered is told by what else still fits: the balances, the lots, the next entry.
    """

    def __init__(self, member_id: str) -> None:
        self.member_id = member_id
        self.seq = 0
        self.hash: bytes | None = None
        self.finding: Finding | None = None
        self._balances: tuple[int, ...] = (0, 0, 0, 0)
        self._lots: dict[str, int] = {}
        self._stray: tuple[int, str] | None = None
        #: The hash that the entry of the finding should have had, were it not for that entry.
        self._should_be: bytes | None = None

    def add(self, row: Row, parts: Parts) -> None:
        """The next entry and its allocations."""
        for lot_id, points in parts:
            self._lots[lot_id] = self._lots.get(lot_id, 0) + points
        if self.finding is not None:
            self._look_back(row)
            self.seq = row[1]
            return
        stored = row[_WIDTH + 1]
        computed = row_hash(previous=row[_WIDTH], columns=row[:_WIDTH], allocations=parts)
        after = moved(self._balances, debit=row[3], credit=row[4], points=row[5])
        if not (
            computed == stored
            and row[_WIDTH] == self.hash
            and row[1] == self.seq + 1
            and row[6:10] == after
            and self._moved_in_lots(after) == sum(points for _, points in parts)
        ):
            self.finding = self._diagnosis(row, parts, computed, after)
            self.seq = row[1]
            return
        self.seq, self.hash, self._balances = row[1], stored, after

    def strays(self, allocations: Iterable[Row]) -> None:
        """Allocations of entries that are not there."""
        for _, seq, lot_id, points in allocations:
            self._lots[lot_id] = self._lots.get(lot_id, 0) + points
            self._stray = self._stray or (seq, lot_id)

    def close(self, account: Row | None, lots: Sequence[Row]) -> None:
        """The account and the lots, to which the entries must have led."""
        lot = self._wrong_lot(lots)
        if self.finding is not None:
            self._look_again(account, lot)
            return
        if account is not None:
            self._compare(account)
        if self._stray is not None:
            self._find("allocation_stray", seq=self._stray[0], lot=self._stray[1])
        if account is not None:
            if lot is not None:
                self._find("lot_disagrees", lot=lot)
            self._compare_states(lots)

    def _find(self, code: str, **facts: str | int) -> None:
        if self.finding is None:
            self.finding = Finding(code, {"member": self.member_id, **facts})

    def _diagnosis(
        self, row: Row, parts: Parts, computed: bytes, after: tuple[Any, ...] | None
    ) -> Finding:
        seq, stored = row[1], row[_WIDTH + 1]
        if seq != self.seq + 1:
            code, at = ("entry_missing", self.seq + 1) if seq > self.seq else ("entry_twice", seq)
            return Finding(code, {"member": self.member_id, "seq": at})
        if row[_WIDTH] == self.hash:
            if computed == stored:
                return self._entry("entry_unbalanced", seq)
            self._should_be = computed
            return self._altered(seq, self._group(row, parts, after))
        if row_hash(previous=self.hash, columns=row[:_WIDTH], allocations=parts) == stored:
            return self._altered(seq, "previous_hash")
        return self._entry("entry_replaced", seq)

    def _group(self, row: Row, parts: Parts, after: tuple[Any, ...] | None) -> str:
        """Which columns of an altered entry do not fit what is around it."""
        if row[6:10] != after:
            return "amounts"
        if self._moved_in_lots(after) != sum(points for _, points in parts):
            return "allocations"
        return "facts"

    def _look_back(self, row: Row) -> None:
        """Whether a later entry tells more of the one found: it follows what was altered away."""
        found = self.finding
        if found is None:
            return
        if found.code == "entry_replaced" and row[_WIDTH] == self.hash:
            self.finding = Finding("entry_moved", {**found.facts, "now_at": row[1]})
        if row[1] == self.seq + 1 and found.facts.get("columns") == "facts":
            self._follow(row[_WIDTH])

    def _look_again(self, account: Row | None, lot: str | None) -> None:
        found = self.finding
        if found is None or found.facts.get("columns") != "facts":
            return
        if found.facts["seq"] == self.seq and account is not None:
            self._follow(account[6])
        if lot is not None and self.finding is found:
            self.finding = Finding(found.code, {**found.facts, "columns": "allocations"})

    def _follow(self, hash_after: bytes | None) -> None:
        """What follows was written after the hash as it should be: then that hash was altered."""
        if self.finding is not None and self._should_be == hash_after:
            self.finding = Finding("entry_altered", {**self.finding.facts, "columns": "hash"})
        self._should_be = None

    def _compare(self, account: Row) -> None:
        _, *balances, seq, entry_hash = account
        names = [
            name
            for name, value, wanted in zip(MEMBER_ACCOUNTS, balances, self._balances, strict=True)
            if value != wanted
        ]
        if entry_hash != self.hash and seq != self.seq:
            code = "entry_missing" if seq > self.seq else "entry_beyond"
            self._find(code, seq=min(seq, self.seq) + 1)
        names += ["entry_seq"] if seq != self.seq else []
        names += ["entry_hash"] if entry_hash != self.hash else []
        if names:
            self._find("account_disagrees", columns=", ".join(names))

    def _wrong_lot(self, lots: Sequence[Row]) -> str | None:
        """The first lot that does not hold what its allocations leave, or is not there.

        A closed lot that came along in a merge has none here: they stand under its first member.
        """
        held = {lot_id: remaining for _, lot_id, _, _, remaining in lots}
        wrong = (
            lot_id
            for lot_id in sorted({*held, *self._lots})
            if held.get(lot_id) != self._lots.get(lot_id, 0)
        )
        return next(wrong, None)

    def _compare_states(self, lots: Sequence[Row]) -> None:
        for place, state in enumerate(("available", "pending")):
            if sum(one[4] for one in lots if one[2] == state) != self._balances[place]:
                self._find("lots_disagree", account=state)

    def _moved_in_lots(self, after: tuple[Any, ...] | None) -> int | None:
        if after is None:
            return None
        moved_points: int = after[0] + after[1] - self._balances[0] - self._balances[1]
        return moved_points

    def _altered(self, seq: int, columns: str) -> Finding:
        facts: dict[str, str | int] = {
            "member": self.member_id,
            "seq": seq,
            "columns": columns,
        }
        return Finding("entry_altered", facts)

    def _entry(self, code: str, seq: int) -> Finding:
        return Finding(code, {"member": self.member_id, "seq": seq})


def moved(
    balances: tuple[int, ...], *, debit: str, credit: str, points: Any
) -> tuple[int, ...] | None:
    """The four balances after a movement; None if the points are no number."""
    if not isinstance(points, int):
        return None
    changed = list(balances)
    for name, sign in ((debit, -1), (credit, 1)):
        if name in _PLACES:
            place, side = _PLACES[name]
            changed[place] += sign * side * points
    return tuple(changed)
