"""Imports of order history: a line's facts, what is refused about it, and how far an import is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from services.loyalty.domain.facts import facts_hash
from services.loyalty.domain.members import GivenIdentity

ImportState = Literal["receiving", "done", "failed"]
Verdict = Literal["repeated", "recorded_differently"]

#: So many lines are stored in one transaction, and told in one event: half a megabyte at most.
BATCH_LINES: Final = 500
#: So many refused lines are kept for reading; all are counted.
KEPT_REFUSALS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class ImportedLine:
    """One order of a history. Its member is named by id, or by an identity, never by both."""

    line: int
    order_id: str
    member_id: str | None
    identity: GivenIdentity | None
    paid_fen: int
    refunded_fen: int
    paid_at: datetime

    def facts_hash(self) -> bytes:
        """What tells two reports of the same order id apart, beside whose order it is."""
        return facts_hash(
            ["import", self.order_id, self.paid_fen, self.refunded_fen, self.paid_at.isoformat()]
        )


@dataclass(frozen=True, kw_only=True)
class LineRefusal:
    """Why a line was not taken: a code and where it applies. The line itself is not kept."""

    line: int
    code: str
    pointer: str | None = None
    order_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class OwnedLine:
    """A line whose member is known."""

    line: ImportedLine
    member_id: str


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
class Tally:
    """What became of some lines."""

    lines: int = 0
    orders: int = 0
    repeated: int = 0
    refused: int = 0
    members: int = 0


def verdict(owned: OwnedLine, *, known: KnownOrder) -> Verdict:
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


def as_known(owned: OwnedLine) -> KnownOrder:
    """A line as the record it becomes."""
    return KnownOrder(
        order_id=owned.line.order_id,
        member_id=owned.member_id,
        paid_fen=owned.line.paid_fen,
        paid_at=owned.line.paid_at,
        facts_hash=owned.line.facts_hash(),
        imported=True,
    )


def refused(line: ImportedLine, code: str, *, pointer: str | None = None) -> LineRefusal:
    """A well-formed line's refusal."""
    return LineRefusal(line=line.line, code=code, pointer=pointer, order_id=line.order_id)
