"""What may become of a redemption: a hold is captured or released, spent points are cancelled.

Each of these counts once. Asked again for what has already been done, the answer is what it was;
asked for something else, it is a refusal.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.kernel.clock import rfc3339
from shared.kernel.errors import Refusal

RedemptionState = Literal["held", "redeemed", "released", "cancelled"]


class AlreadyHeld(Refusal):
    """Other points are held for the same purpose and reference."""

    code = "already_held"


class HoldExpired(Refusal):
    """The time of the hold is over; its points go back, whether or not they have yet."""

    code = "hold_expired"


class CaptureExceedsHold(Refusal):
    """More points were to be captured than are held."""

    code = "capture_exceeds_hold"


class RedemptionClosed(Refusal):
    """The redemption ended in another way before."""

    code = "redemption_closed"


class RedemptionHeld(Refusal):
    """The points are only held, so there is nothing to cancel: release them."""

    code = "redemption_held"


class RedemptionOfCheckout(Refusal):
    """A reservation of the checkout owns the redemption; it ends with it, or with its order."""

    code = "redemption_of_checkout"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a redemption stands. `hold_expires_at` is None for one that never was a hold."""

    id: str
    state: RedemptionState
    points: int
    #: How many of the points are back in their lots.
    returned_points: int
    hold_expires_at: datetime | None
    closed_at: datetime | None

    @property
    def kept(self) -> int:
        """How many points are spent or held."""
        return self.points - self.returned_points


def points_to_capture(standing: Standing, *, asked: int | None, now: datetime) -> int:
    """How many held points to spend, all if not said; 0 when just that was done before.

    A hold ends at `hold_expires_at`, whether or not a job has come by. Raises HoldExpired,
    RedemptionClosed and CaptureExceedsHold.
    """
    wanted = standing.points if asked is None else asked
    was_hold = standing.hold_expires_at is not None
    if standing.state == "redeemed" and was_hold and wanted == standing.kept:
        return 0
    if standing.state in ("redeemed", "cancelled"):
        raise RedemptionClosed(id=standing.id, state=standing.state)
    _require_time_left(standing, now=now)
    if standing.state == "released":
        raise RedemptionClosed(id=standing.id, state=standing.state)
    if wanted > standing.points:
        raise CaptureExceedsHold(asked=wanted, held=standing.points)
    return wanted


def is_to_release(standing: Standing) -> bool:
    """Whether points are still held; False when they were released. Raises RedemptionClosed."""
    if standing.state in ("redeemed", "cancelled"):
        raise RedemptionClosed(id=standing.id, state=standing.state)
    return standing.state == "held"


def is_to_cancel(standing: Standing) -> bool:
    """Whether points are still spent; False when it was cancelled.

    Raises RedemptionHeld, and RedemptionClosed for a hold that was released.
    """
    if standing.state == "held":
        raise RedemptionHeld(id=standing.id)
    if standing.state == "released":
        raise RedemptionClosed(id=standing.id, state=standing.state)
    return standing.state == "redeemed"


def _require_time_left(standing: Standing, *, now: datetime) -> None:
    """Raise HoldExpired when the hold has run out; not when it was released in time."""
    until = standing.hold_expires_at
    if until is None or until > now:
        return
    if standing.closed_at is None or standing.closed_at >= until:
        raise HoldExpired(id=standing.id, hold_expires_at=rfc3339(until))
