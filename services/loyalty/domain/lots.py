"""Lots: points that were earned together, and the order in which they are used."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

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
