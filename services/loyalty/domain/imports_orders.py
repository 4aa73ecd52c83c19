"""Imported orders: a line's facts, and what it means when its order is on record already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from services.loyalty.domain.facts import facts_hash
from services.loyalty.domain.imports import LineRefusal, MemberLine, OwnedLine, refused
from services.loyalty.domain.orders import Earning

Verdict = Literal["repeated", "recorded_differently"]

NOTHING: Final = Earning(points=0, growth=0)


@dataclass(frozen=True, kw_only=True)
class OrderLine(MemberLine):
    """One order of a history; its `reference` is the order's id."""

    paid_fen: int
    refunded_fen: int
    paid_at: datetime
    completed_at: datetime | None = None

    @property
    def order_id(self) -> str:
        """The order's id."""
        return self.reference

    @property
    def happened_at(self) -> datetime:
        """When it was paid."""
        return self.paid_at

    @property
    def kept_fen(self) -> int:
        """What was paid and has not gone back."""
        return self.paid_fen - self.refunded_fen

    def facts_hash(self) -> bytes:
        """What tells two reports of the same order id apart, beside whose order it is."""
        facts = [
            "import",
            self.order_id,
            self.paid_fen,
            self.refunded_fen,
            self.paid_at.isoformat(),
        ]
        if self.completed_at is not None:
            facts.append(self.completed_at.isoformat())
        return facts_hash(facts)


@dataclass(frozen=True, kw_only=True)
class NewOrder:
    """An order to be recorded, and what it earns for its member at its recording."""

    owned: OwnedLine[OrderLine]
    multiplier_percent: int = 0
    earned: Earning = NOTHING


@dataclass(frozen=True, kw_only=True)
class KnownOrder:
    """What is on record under an order id."""

    order_id: str
    member_id: str
    paid_fen: int
    paid_at: datetime
    facts_hash: bytes
    imported: bool


@dataclass(frozen=True, kw_only=True)
class SortedLines:
    """Lines whose order is new, how many repeat one, and the refusals of those that differ."""

    new: Sequence[OwnedLine[OrderLine]]
    repeated: int
    refusals: Sequence[LineRefusal]


def untimely(lines: Sequence[OrderLine], *, now: datetime) -> Sequence[LineRefusal]:
    """The lines that tell of what is still to come, refused."""
    found = []
    for line in lines:
        moments = {"/paid_at": line.paid_at, "/completed_at": line.completed_at}
        ahead = [name for name, at in moments.items() if at is not None and at > now]
        if ahead:
            found.append(refused(line, "occurred_in_future", pointer=ahead[0]))
    return found


def sort_out(
    owned: Sequence[OwnedLine[OrderLine]], *, known: Mapping[str, KnownOrder]
) -> SortedLines:
    """What each line is, beside the record and the lines before it: an order id counts once."""
    seen = dict(known)
    new, refusals = [], []
    for one in owned:
        before = seen.get(one.line.order_id)
        if before is None:
            seen[one.line.order_id] = as_known(one)
            new.append(one)
        elif verdict(one, known=before) == "recorded_differently":
            refusals.append(refused(one.line, "recorded_differently", pointer="/order_id"))
    repeated = len(owned) - len(new) - len(refusals)
    return SortedLines(new=new, repeated=repeated, refusals=refusals)


def verdict(owned: OwnedLine[OrderLine], *, known: KnownOrder) -> Verdict:
    """Whether a line tells of a known order what is on record.

    An order that was reported one by one knows its refunds better than a history does, so only
    what was paid, when and by whom is compared with it.
    """
    line = owned.line
    same = (owned.member_id, line.paid_fen, line.paid_at) == (
        known.member_id,
        known.paid_fen,
        known.paid_at,
    )
    if known.imported:
        same = same and line.facts_hash() == known.facts_hash
    return "repeated" if same else "recorded_differently"


def as_known(owned: OwnedLine[OrderLine]) -> KnownOrder:
    """A line as the record it becomes."""
    return KnownOrder(
        order_id=owned.line.order_id,
        member_id=owned.member_id,
        paid_fen=owned.line.paid_fen,
        paid_at=owned.line.paid_at,
        facts_hash=owned.line.facts_hash(),
        imported=True,
    )
