"""What the programme says about holding, restoring, transferring and adjusting points."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

_MOST_DAYS: Final = 3660
_MOST_HOURS: Final = 24 * _MOST_DAYS
_MOST_MINUTES: Final = 7 * 24 * 60
_MOST: Final = 2**53 - 1


@dataclass(frozen=True, kw_only=True)
class TransferRules:
    """Whether and how much a member may give to others. Days are business days."""

    enabled: bool = True
    #: The most points, and the most transfers, that one member may send on a day.
    daily_limit: int = 5_000
    daily_count: int = 10
    #: Fewer points than this are not transferred.
    least: int = 1
    #: Points that came by transfer are not transferred on before so many hours are over.
    cooling_hours: int = 24

    @property
    def cooling(self) -> timedelta:
        """How long points that came by transfer stay."""
        return timedelta(hours=self.cooling_hours)


@dataclass(frozen=True, kw_only=True)
class PointsRules:
    """Rules for what can be done with points beside spending them."""

    #: How long points are held when the caller does not say.
    hold_minutes: int = 15
    #: Points of a cancelled redemption are good for so many days at least.
    restore_grace_days: int = 0
    #: Adjustments of more points than this need a second person.
    approval_above: int = 10_000
    transfer: TransferRules = TransferRules()

    @property
    def restore_grace(self) -> timedelta:
        """How long restored points are good at least."""
        return timedelta(days=self.restore_grace_days)


def read_points_rules(given: Mapping[str, Any]) -> PointsRules:
    """Read `points` of a programme: what is left out is as above. Raises ValueError."""
    redeem, adjustment = given.get("redeem", {}), given.get("adjustment", {})
    return PointsRules(
        hold_minutes=_count(redeem.get("hold_minutes", 15), least=1, most=_MOST_MINUTES),
        restore_grace_days=_count(redeem.get("restore_grace_days", 0), most=_MOST_DAYS),
        approval_above=_count(adjustment.get("approval_above", 10_000)),
        transfer=_transfer(given.get("transfer", {})),
    )


def _transfer(given: Mapping[str, Any]) -> TransferRules:
    enabled = given.get("enabled", True)
    if not isinstance(enabled, bool):
        raise ValueError(f"transfer.enabled is {enabled!r}, neither true nor false")
    return TransferRules(
        enabled=enabled,
        daily_limit=_count(given.get("daily_limit", 5_000), least=1),
        daily_count=_count(given.get("daily_count", 10), least=1),
        least=_count(given.get("least", 1), least=1),
        cooling_hours=_count(given.get("cooling_hours", 24), most=_MOST_HOURS),
    )


def _count(given: object, *, least: int = 0, most: int = _MOST) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
        raise ValueError(f"{given!r} is not a whole number from {least} to {most}")
    return given
