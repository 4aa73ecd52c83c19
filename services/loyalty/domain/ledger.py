"""The points ledger of one member: balances, lots, and a chain of double entries.

An entry moves points from the account it debits to the one it credits. `available`, `pending` and
`held` are what the programme owes the member, so a credit raises them; `debt` is what the member
owes the programme, so a debit raises it. All others are the programme's own accounts.

Every change goes through `post`, which keeps the books: no balance below zero, lots that move by
exactly what their balance moves by, one number and one hash after another. A posting that would
break the books raises LedgerBroken, in production as in tests, before anything is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from services.loyalty.domain.chain import microseconds, row_hash
from services.loyalty.domain.lots import Allocation, Cause, Lot, LotState
from shared.kernel.errors import Refusal
from shared.kernel.records import replace

MemberAccount = Literal["available", "pending", "held", "debt"]
ProgrammeAccount = Literal[
    "issued", "redeemed", "expired", "clawed_back", "adjusted", "transferred", "written_off"
]
AccountName = MemberAccount | ProgrammeAccount
EntryKind = Literal[
    "earned", "released", "repaid", "redeemed", "restored", "held", "captured", "clawed_back",
    "expired", "reinstated", "adjusted", "transferred", "merged", "imported",
]  # fmt: skip

#: Balances stay below this, so that JavaScript reads them exactly.
BALANCE_LIMIT: Final = 2**53


class LedgerBroken(Exception):
    """A posting would leave books that do not agree. A defect, never a refusal."""


class BalanceLimitReached(Refusal):
    """The member would have more points than can be counted safely."""

    code = "balance_limit_reached"


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """When and on whose behalf a change is recorded."""

    at: datetime
    actor: str


@dataclass(frozen=True, kw_only=True)
class Balances:
    """What a member has, in points."""

    available: int = 0
    pending: int = 0
    held: int = 0
    debt: int = 0

    @property
    def total(self) -> int:
        """What the member can count on, all told."""
        return self.available + self.pending + self.held - self.debt

    def moved(self, *, debit: AccountName, credit: AccountName, points: int) -> "Balances":
        """The balances after a movement from `debit` to `credit`."""
        changed = {"available": self.available, "pending": self.pending, "held": self.held}
        changed["debt"] = -self.debt
        if debit in changed:
            changed[debit] -= points
        if credit in changed:
            changed[credit] += points
        changed["debt"] = -changed["debt"]
        return Balances(**changed)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One movement of points, numbered and chained; never changed."""

    member_id: str
    seq: int
    kind: EntryKind
    debit_account: AccountName
    credit_account: AccountName
    points: int
    after: Balances
    cause: Cause
    programme_version: int
    occurred_at: datetime
    stamp: Stamp
    previous_hash: bytes | None
    hash: bytes
    allocations: tuple[Allocation, ...]


@dataclass(frozen=True, kw_only=True)
class Posting:
    """A movement to be made. `lots` are the lots it changes, as they are to be afterwards."""

    kind: EntryKind
    debit: AccountName
    credit: AccountName
    points: int
    cause: Cause
    programme_version: int
    occurred_at: datetime
    lots: tuple[Lot, ...]


@dataclass(frozen=True, kw_only=True)
class Account:
    """A member's books, as far as they were loaded, and what was done to them since.

    `lots` holds the lots that a decision may need, not necessarily all. `entries` and `touched`
    grow with each posting and are what remains to be saved.
    """

    member_id: str
    balances: Balances = Balances()
    seq: int = 0
    hash: bytes | None = None
    lots: Mapping[str, Lot] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    touched: frozenset[str] = frozenset()

    def with_lots(self, lots: Sequence[Lot]) -> "Account":
        """The account with some lots changed or added; balances stay as they are."""
        return replace(
            self,
            lots={**self.lots, **{lot.id: lot for lot in lots}},
            touched=self.touched | {lot.id for lot in lots},
        )

    def lots_in(self, state: LotState) -> list[Lot]:
        """The loaded lots in a state that still hold points."""
        return [lot for lot in self.lots.values() if lot.state == state and lot.remaining]


def post(account: Account, posting: Posting, *, stamp: Stamp) -> Account:
    """Make one movement. Raises LedgerBroken if the books would not agree afterwards."""
    if posting.points <= 0 or posting.debit == posting.credit:
        raise LedgerBroken(f"{posting.kind} of {posting.points} moves nothing")
    after = account.balances.moved(
        debit=posting.debit, credit=posting.credit, points=posting.points
    )
    _require_agreement(account, posting, after)
    unchained = Entry(
        member_id=account.member_id,
        seq=account.seq + 1,
        kind=posting.kind,
        debit_account=posting.debit,
        credit_account=posting.credit,
        points=posting.points,
        after=after,
        cause=posting.cause,
        programme_version=posting.programme_version,
        occurred_at=posting.occurred_at,
        stamp=stamp,
        previous_hash=account.hash,
        hash=b"",
        allocations=_allocations(account, posting.lots),
    )
    entry = replace(unchained, hash=entry_hash(unchained))
    lots = {lot.id: lot for lot in posting.lots}
    return replace(
        account,
        lots={**account.lots, **lots},
        touched=account.touched.union(lots),
        balances=after,
        seq=entry.seq,
        hash=entry.hash,
        entries=(*account.entries, entry),
    )


def entry_hash(entry: Entry) -> bytes:
    """SHA-256 over the hash before, all columns of this entry, and its allocations.

    See `domain.chain`: it can be computed again from the rows alone.
    """
    return row_hash(
        previous=entry.previous_hash,
        columns=(
            entry.member_id, entry.seq, entry.kind, entry.debit_account, entry.credit_account,
            entry.points, entry.after.available, entry.after.pending, entry.after.held,
            entry.after.debt, entry.cause.kind, entry.cause.id, entry.cause.reason,
            entry.programme_version, microseconds(entry.occurred_at),
            microseconds(entry.stamp.at), entry.stamp.actor,
        ),
        allocations=[(part.lot_id, part.points) for part in entry.allocations],
    )  # fmt: skip


def _allocations(account: Account, lots: Sequence[Lot]) -> tuple[Allocation, ...]:
    """What each lot gave or got: the difference to what it held before."""
    moved = ((lot.id, lot.remaining - _remaining(account.lots.get(lot.id))) for lot in lots)
    return tuple(Allocation(lot_id=lot_id, points=points) for lot_id, points in moved if points)


def _require_agreement(account: Account, posting: Posting, after: Balances) -> None:
    balances = (after.available, after.pending, after.held, after.debt)
    if min(balances) < 0:
        raise LedgerBroken(f"{posting.kind} of {posting.points} leaves {after}")
    if max(balances) >= BALANCE_LIMIT:
        raise BalanceLimitReached
    moved = {"available": 0, "pending": 0, "closed": 0}
    for lot in posting.lots:
        if not 0 <= lot.remaining <= lot.points:
            raise LedgerBroken(f"{posting.kind}: a lot holds less than nothing or more than it had")
        moved[lot.state] += lot.remaining
        before = account.lots.get(lot.id)
        if before is not None:
            moved[before.state] -= before.remaining
    was = account.balances
    if moved["available"] != after.available - was.available:
        raise LedgerBroken(f"{posting.kind}: available moves otherwise than its lots")
    if moved["pending"] != after.pending - was.pending:
        raise LedgerBroken(f"{posting.kind}: pending moves otherwise than its lots")


def _remaining(lot: Lot | None) -> int:
    return lot.remaining if lot else 0
