"""Imports in bulk: what every line has in common, what is refused, how far an import is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, Literal, TypeVar

from services.loyalty.domain.expiries import day_end
from services.loyalty.domain.members import GivenIdentity

ImportKind = Literal["orders", "points"]
ImportState = Literal["receiving", "done", "failed"]

#: So many lines are stored in one transaction, and told in one event: half a megabyte at most.
BATCH_LINES: Final = 500
#: So many refused lines are kept for reading; all are counted.
KEPT_REFUSALS: Final = 10_000
#: Points of a past that is imported are good for so long at least: nothing lapses unannounced.
LEAST_LEFT: Final = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class MemberLine:
    """A line of a file. Its member is named by id, or by an identity, never by both."""

    line: int
    #: What the line tells of, as its owner calls it: an order's id, or a movement's reference.
    reference: str
    member_id: str | None
    identity: GivenIdentity | None

    @property
    def happened_at(self) -> datetime | None:
        """When that happened; None for what stands as of the import."""
        raise NotImplementedError


Line = TypeVar("Line", bound=MemberLine)
Line_co = TypeVar("Line_co", bound=MemberLine, covariant=True)


@dataclass(frozen=True, kw_only=True)
class LineRefusal:
    """Why a line was not taken: a code and where it applies. The line itself is not kept."""

    line: int
    code: str
    pointer: str | None = None
    reference: str | None = None


@dataclass(frozen=True, kw_only=True)
class OwnedLine(Generic[Line]):
    """A line whose member is known."""

    line: Line
    member_id: str


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What became of some lines."""

    lines: int = 0
    taken: int = 0
    repeated: int = 0
    refused: int = 0
    members: int = 0


def refused(line: MemberLine, code: str, *, pointer: str | None = None) -> LineRefusal:
    """A well-formed line's refusal."""
    return LineRefusal(line=line.line, code=code, pointer=pointer, reference=line.reference)


def lasting(expires_at: datetime | None, *, now: datetime) -> datetime | None:
    """When points of an imported past lapse: as they would, but not before LEAST_LEFT is over and
    the business day with it.
    """
    return None if expires_at is None else max(expires_at, day_end(now + LEAST_LEFT))
