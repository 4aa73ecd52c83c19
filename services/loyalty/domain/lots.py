"""Lots: points that were earned together, and the order in which they are used."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from shared.kernel.records import replace

LotState = Literal["pending", "available", "closed"]

_FAR: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What made an entry: an order, a refund, a redemption."""

    kind: str
    id: str
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Lot:
    """Points that were earned together and lapse together."""

    id: str
    cause: Cause
    state: LotState
    points: int
    remaining: int
    available_at: datetime | None
    expires_at: datetime | None
    programme_version: int
    created_at: datetime
    #: Under the activity policy: each order and spending makes the lot good for so many months
    #: more. It follows from `programme_version`, so it is read and never written.
    renewal_months: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still holds points, usable now or later."""
        return self.state != "closed" and self.remaining > 0

    def taken(self, points: int) -> "Lot":
        """The lot with some points less; closed when none are left."""
        left = self.remaining - points
        return replace(self, remaining=left, state=self.state if left else "closed")

    def given(self, points: int) -> "Lot":
        """The lot with points put back that were taken from it while it was available."""
        return replace(self, remaining=self.remaining + points, state="available")


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """How much of a lot an entry took (negative) or gave (positive)."""

    lot_id: str
    points: int


def usage_order(lot: Lot) -> tuple[datetime, datetime, str]:
    """By which lots are used: soonest to lapse, then oldest; those that never lapse last."""
    return lot.expires_at or _FAR, lot.created_at, lot.id


def expiry_schedule(lots: Iterable[Lot]) -> list[tuple[datetime | None, int]]:
    """When available points lapse and how many, soonest first; None, last, for never."""
    points: dict[datetime | None, int] = {}
    for lot in lots:
        if lot.state == "available" and lot.remaining:
            points[lot.expires_at] = points.get(lot.expires_at, 0) + lot.remaining
    return sorted(points.items(), key=lambda part: part[0] or _FAR)
