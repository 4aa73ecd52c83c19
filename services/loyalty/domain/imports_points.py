"""Imported points: opening balances and past movements, as lines of a file and as postings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from services.loyalty.domain.facts import facts_hash
from services.loyalty.domain.imports import MemberLine, lasting
from services.loyalty.domain.ledger import (
    Account,
    AccountName,
    EntryKind,
    Posting,
    ProgrammeAccount,
    Stamp,
    post,
)
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.points import InsufficientPoints, in_order_of_use, repay, take
from services.loyalty.domain.programme import Programme, expires_at

#: `balance` is an opening balance; the others are movements of the past.
MovementKind = Literal["balance", "earned", "redeemed", "expired", "adjusted"]

#: What entries and lots of an import name as the kind of their cause; its id is the reference.
IMPORT: Final = "import"
#: The entry that each kind makes, and the programme's account on its other side.
_BOOKED: Final[dict[MovementKind, tuple[EntryKind, ProgrammeAccount]]] = {
    "balance": ("imported", "issued"),
    "earned": ("earned", "issued"),
    "redeemed": ("redeemed", "redeemed"),
    "expired": ("expired", "expired"),
    "adjusted": ("adjusted", "adjusted"),
}
_SIGNED: Final = ("balance", "adjusted")
_SPENDING: Final = ("redeemed", "expired")


@dataclass(frozen=True, kw_only=True)
class LineFault:
    """What is wrong with a line, and where."""

    code: str
    pointer: str


@dataclass(frozen=True, kw_only=True)
class PointsLine(MemberLine):
    """One movement. `points` is how many, with a sign for balances and adjustments alone."""

    kind: MovementKind
    points: int
    occurred_at: datetime | None = None
    available_at: datetime | None = None
    expires_at: datetime | None = None
    reason: str | None = None

    @property
    def happened_at(self) -> datetime | None:
        """When points moved in the past; a balance stands as of the import."""
        return self.occurred_at

    @property
    def adds(self) -> bool:
        """Whether the member has more points afterwards."""
        return self.points > 0 and self.kind not in _SPENDING

    def facts_hash(self) -> bytes:
        """What tells two lines of the same member and reference apart."""
        moments = [self.occurred_at, self.available_at, self.expires_at]
        written = [None if at is None else at.isoformat() for at in moments]
        return facts_hash([self.kind, self.reference, self.points, *written, self.reason])


def fault_of(line: PointsLine) -> LineFault | None:
    """Why a line cannot be a movement at any time, the first reason; None when it can."""
    balance = line.kind == "balance"
    begins = line.available_at or line.occurred_at
    lapses = line.expires_at is not None
    early = begins is not None and line.expires_at is not None and line.expires_at <= begins
    rules = (
        (line.points == 0, "points_zero", "/points"),
        (line.points < 0 and line.kind not in _SIGNED, "points_negative", "/points"),
        (not balance and line.occurred_at is None, "missing", "/occurred_at"),
        (balance and line.occurred_at is not None, "not_for_this_movement", "/occurred_at"),
        (
            line.available_at is not None and not (balance and line.adds),
            "not_for_this_movement",
            "/available_at",
        ),
        (lapses and not line.adds, "not_for_this_movement", "/expires_at"),
        (early, "expires_before_available", "/expires_at"),
    )
    broken = (LineFault(code=code, pointer=pointer) for wrong, code, pointer in rules if wrong)
    return next(broken, None)


def untimely(line: PointsLine, *, now: datetime) -> LineFault | None:
    """Why a line cannot be taken any more, or not yet; None when it can."""
    if line.occurred_at is not None and line.occurred_at > now:
        return LineFault(code="occurred_in_future", pointer="/occurred_at")
    if line.kind == "balance" and line.expires_at is not None and line.expires_at <= now:
        return LineFault(code="expires_in_past", pointer="/expires_at")
    return None


def move(
    account: Account, line: PointsLine, *, programme: Programme, lot_id: str, stamp: Stamp
) -> Account:
    """Post a line. Raises InsufficientPoints for spending of what no import brought.

    The past was spent from points of the past: what the member has earned here was not there then,
    and lapses after a notice alone. A negative opening balance is no past but owed today, and debt
    is paid from whatever is available: it takes that, and leaves the rest as debt.
    """
    if line.adds:
        return _credited(account, line, programme=programme, lot_id=lot_id, stamp=stamp)
    points, lots = abs(line.points), in_order_of_use(account)
    if line.kind == "balance":
        available = account.balances.available
        account = _debited(account, line, min(points, available), lots, programme, stamp)
        return _owing(account, line, max(0, points - available), programme, stamp)
    brought = [lot for lot in lots if lot.cause.kind == IMPORT]
    there = sum(lot.remaining for lot in brought)
    if points > there:
        raise InsufficientPoints(available=there, asked=points)
    return _debited(account, line, points, brought, programme, stamp)


def _credited(
    account: Account, line: PointsLine, *, programme: Programme, lot_id: str, stamp: Stamp
) -> Account:
    """A new lot, pending when its moment is still to come; otherwise it repays debt at once."""
    begins = line.available_at or line.occurred_at or stamp.at
    state: Literal["pending", "available"] = "pending" if begins > stamp.at else "available"
    lot = Lot(
        id=lot_id,
        cause=Cause(kind=IMPORT, id=line.reference),
        state=state,
        points=line.points,
        remaining=line.points,
        available_at=begins,
        expires_at=_expiry(line, begins=begins, programme=programme, now=stamp.at),
        programme_version=programme.version,
        created_at=stamp.at,
    )
    kind, source = _BOOKED[line.kind]
    posting = _posting(line, kind, source, state, line.points, (lot,), programme, stamp)
    account = post(account, posting, stamp=stamp)
    return account if state == "pending" else repay(account, lot_id, stamp=stamp)


def _expiry(
    line: PointsLine, *, begins: datetime, programme: Programme, now: datetime
) -> datetime | None:
    """As given for a balance; what lapsed in the past, or would by the rules, gets its notice."""
    if line.kind == "balance" and line.expires_at is not None:
        return line.expires_at
    by_rule = expires_at(programme.expiry, available_at=begins)
    return lasting(line.expires_at or by_rule, now=now)


def _debited(
    account: Account,
    line: PointsLine,
    points: int,
    lots: Sequence[Lot],
    programme: Programme,
    stamp: Stamp,
) -> Account:
    """Points taken from these lots in turn."""
    if points == 0:
        return account
    kind, target = _BOOKED[line.kind]
    taken = take(lots, points)
    posting = _posting(line, kind, "available", target, points, taken, programme, stamp)
    return post(account, posting, stamp=stamp)


def _owing(
    account: Account, line: PointsLine, points: int, programme: Programme, stamp: Stamp
) -> Account:
    if points == 0:
        return account
    kind, target = _BOOKED[line.kind]
    posting = _posting(line, kind, "debt", target, points, (), programme, stamp)
    return post(account, posting, stamp=stamp)


def _posting(
    line: PointsLine,
    kind: EntryKind,
    debit: AccountName,
    credit: AccountName,
    points: int,
    lots: tuple[Lot, ...],
    programme: Programme,
    stamp: Stamp,
) -> Posting:
    return Posting(
        kind=kind,
        debit=debit,
        credit=credit,
        points=points,
        cause=Cause(kind=IMPORT, id=line.reference),
        programme_version=programme.version,
        occurred_at=line.occurred_at or stamp.at,
        lots=lots,
    )
