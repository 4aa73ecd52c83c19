"""What the programme says about the points of orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: On what points are earned: what was paid in cash, or that and the discount.
EarnOn = Literal["cash", "gross"]
#: Until when, plus the hold, an order's points are pending: received, or paid.
PendingUntil = Literal["completion", "payment"]


@dataclass(frozen=True, kw_only=True)
class OrderRules:
    """How orders earn. `points.earn_on` and `points.pending` in a programme's rules."""

    earn_on: EarnOn = "cash"
    pending_until: PendingUntil = "completion"


def read_order_rules(points: Mapping[str, object]) -> OrderRules:
    """Read them from a programme's `points`; what is left out is as above. Raises ValueError."""
    return OrderRules(
        earn_on=_earn_on(points.get("earn_on", "cash")),
        pending_until=_pending_until(points.get("pending", "completion")),
    )


def _earn_on(given: object) -> EarnOn:
    if given == "cash":
        return "cash"
    if given == "gross":
        return "gross"
    raise ValueError(f"points are not earned on {given!r}")


def _pending_until(given: object) -> PendingUntil:
    if given == "completion":
        return "completion"
    if given == "payment":
        return "payment"
    raise ValueError(f"points are not pending until {given!r}")
