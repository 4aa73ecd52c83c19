"""Cancellations: an order is called off, and what has not gone back yet goes back."""

from dataclasses import dataclass
from datetime import datetime

from services.loyalty.domain.facts import facts_hash


@dataclass(frozen=True, kw_only=True)
class CancellationFacts:
    """A cancellation as the storefront reports it. An order is cancelled once."""

    order_id: str
    reason: str | None
    cancelled_at: datetime

    def hash(self) -> bytes:
        """What tells two reports of the same cancellation apart."""
        return facts_hash([self.order_id, self.reason, self.cancelled_at.isoformat()])


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    """A cancellation on record. What follows `recorded_at` is None while its order is unknown."""

    facts: CancellationFacts
    facts_hash: bytes
    member_id: str | None
    recorded_at: datetime
    applied_at: datetime | None = None
    #: What had not gone back before.
    applied_fen: int | None = None
    clawed_back_points: int | None = None
    debt_points: int | None = None
    returned_points: int | None = None
    growth: int | None = None
