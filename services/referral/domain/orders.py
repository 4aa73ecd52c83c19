"""The referee's orders, and which of them is the first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class PaidOrder:
    """An order that was paid."""

    order_id: str
    paid_fen: int
    paid_at: datetime
    #: When its customer confirmed that it was received; None until then.
    completed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Refund:
    """Money of an order that went back."""

    refund_id: str
    order_id: str
    amount_fen: int
    #: Whether nothing of the order was kept after it.
    in_full: bool


def refunded_in_full(order: PaidOrder, refunds: Iterable[Refund]) -> bool:
    """Whether all of an order went back, in one refund or in several."""
    own = [refund for refund in refunds if refund.order_id == order.order_id]
    returned_fen = sum(refund.amount_fen for refund in own)
    return any(refund.in_full for refund in own) or returned_fen >= order.paid_fen


def qualifying_orders(
    orders: Iterable[PaidOrder], *, minimum_fen: int, since: datetime
) -> Sequence[PaidOrder]:
    """Orders paid since a moment that meet the minimum, refunded or not, earliest first.

    An order that cost nothing does not qualify, whatever the minimum.
    """
    enough = [
        order
        for order in orders
        if order.paid_fen >= max(1, minimum_fen) and not is_before(order.paid_at, since)
    ]
    return sorted(enough, key=lambda order: (order.paid_at, order.order_id))


def first_order(qualifying: Sequence[PaidOrder], refunds: Sequence[Refund]) -> PaidOrder | None:
    """The earliest that is not refunded in full."""
    kept = (order for order in qualifying if not refunded_in_full(order, refunds))
    return next(kept, None)


def is_before(paid_at: datetime, enrolled_at: datetime) -> bool:
    """Whether an order was paid before its customer enrolled.

    Storefronts often write whole seconds, so an order paid in the second of the enrolment was not.
    """
    return paid_at < enrolled_at.replace(microsecond=0)
