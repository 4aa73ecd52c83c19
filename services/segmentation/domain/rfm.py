"""RFM measures: what one member's orders say, as of the end of a business day.

All days are business days (Asia/Shanghai, `shared.kernel.clock.business_day`); "as of a day" means
at its last moment, so facts of that very day count and facts of later days do not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

WINDOW_DAYS: Final = 365
MIN_WINDOW_DAYS: Final = 30
MAX_WINDOW_DAYS: Final = 1095


class State(StrEnum):
    """Where a member stands with the programme, by valid orders alone."""

    prospect = "prospect"  #: never a valid order
    lapsed = "lapsed"  #: valid orders, none of them in the window
    active = "active"  #: at least one valid order in the window; only these are scored


@dataclass(frozen=True, slots=True)
class RefundFact:
    """One refund of an order: what was given back on that day, not the sum so far."""

    day: date
    refund_fen: int


@dataclass(frozen=True, slots=True)
class OrderFact:
    """What segmentation remembers of a paid order. `order_id` is unique within a member's facts.

    A refund may bear an earlier day than the payment (facts arrive in any order).
    """

    order_id: str
    paid_day: date
    paid_fen: int
    refunds: tuple[RefundFact, ...] = ()
    cancelled_day: date | None = None

    def net_fen(self, *, as_of: date) -> int:
        """What was kept of the payment, by the refunds known up to the end of `as_of`."""
        refunded_fen = sum(refund.refund_fen for refund in self.refunds if refund.day <= as_of)
        return self.paid_fen - refunded_fen

    def is_valid(self, *, as_of: date) -> bool:
        """Whether the order counts: paid by then, not cancelled by then, something kept."""
        cancelled = self.cancelled_day is not None and self.cancelled_day <= as_of
        return self.paid_day <= as_of and not cancelled and self.net_fen(as_of=as_of) > 0


@dataclass(frozen=True, slots=True)
class Measures:
    """Recency, frequency and monetary value of one member as of a business day.

    `recency_days` counts from the last valid order whenever it was (0: that very day), so it is
    known for lapsed members too and None for prospects alone. `frequency` (orders) and
    `monetary_fen` (kept after refunds) look at the window only and are 0 unless active.
    """

    recency_days: int | None
    frequency: int
    monetary_fen: int

    @property
    def state(self) -> State:
        """Prospect, lapsed or active."""
        if self.recency_days is None:
            return State.prospect
        return State.active if self.frequency > 0 else State.lapsed


PROSPECT: Final = Measures(recency_days=None, frequency=0, monetary_fen=0)


def measure(
    *,
    orders: Iterable[OrderFact],
    as_of: date,
    window_days: int = WINDOW_DAYS,
    count_days: bool = False,
) -> Measures:
    """Measure one member from all its order facts, in any order.

    The window is `(as_of - window_days, as_of]` by the day of payment. A refund takes effect in
    the measures on the order's day, not on its own. A partial refund lowers only the monetary
    value; a full one takes the order out everywhere. With `count_days`, several orders of one day
    count once in the frequency. Raises ValueError when `window_days` is not in 30..1095.

    The same in SQL, with one row per order in `orders` and the refunds up to the day summed::

        SELECT member_id,
               :as_of - max(paid_day) AS recency_days,
               count(*) FILTER (WHERE paid_day > :as_of - :window_days) AS frequency,
               coalesce(sum(net_fen) FILTER (WHERE paid_day > :as_of - :window_days), 0)
                   AS monetary_fen
        FROM orders
        WHERE paid_day <= :as_of AND net_fen > 0
          AND (cancelled_day IS NULL OR cancelled_day > :as_of)
        GROUP BY member_id

    where `count_days` makes it `count(DISTINCT paid_day)`. A member without a row is a prospect.
    """
    if not MIN_WINDOW_DAYS <= window_days <= MAX_WINDOW_DAYS:
        raise ValueError(f"an RFM window has {MIN_WINDOW_DAYS} to {MAX_WINDOW_DAYS} days")
    valid = [order for order in orders if order.is_valid(as_of=as_of)]
    if not valid:
        return PROSPECT
    before_window = as_of - timedelta(days=window_days)
    recent = [order for order in valid if order.paid_day > before_window]
    return Measures(
        recency_days=(as_of - max(order.paid_day for order in valid)).days,
        frequency=len({order.paid_day for order in recent}) if count_days else len(recent),
        monetary_fen=sum(order.net_fen(as_of=as_of) for order in recent),
    )
