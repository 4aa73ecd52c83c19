"""Refunds: what was reported, and whether it goes with its order, by amount and by line."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.loyalty.domain.facts import facts_hash
from services.loyalty.domain.orders import Order, OrderItem, item_rows
from shared.kernel.errors import Refusal
from shared.kernel.money import yuan_text


class RefundExceedsPayment(Refusal):
    """More would go back than was paid; the facts say how much still can."""

    code = "refund_exceeds_payment"

    def __init__(self, *, refundable_fen: int) -> None:
        super().__init__(refundable_fen=refundable_fen, refundable_yuan=yuan_text(refundable_fen))


class RefundItemUnknown(Refusal):
    """A line of the refund is none of the order's; the facts name it."""

    code = "refund_item_unknown"


class RefundItemExceeded(Refusal):
    """More pieces of a line would go back than are left of it; the facts name it."""

    code = "refund_item_exceeded"


@dataclass(frozen=True, kw_only=True)
class RefundFacts:
    """A refund as the storefront reports it."""

    refund_id: str
    order_id: str
    amount_fen: int
    items: tuple[OrderItem, ...] | None
    refunded_at: datetime

    def hash(self) -> bytes:
        """What tells two reports of the same refund id apart."""
        items = None if self.items is None else item_rows(self.items)
        moment = self.refunded_at.isoformat()
        return facts_hash([self.refund_id, self.order_id, self.amount_fen, items, moment])


@dataclass(frozen=True, kw_only=True)
class Refund:
    """A refund on record. What follows `recorded_at` is None while its order is unknown."""

    facts: RefundFacts
    facts_hash: bytes
    member_id: str | None
    recorded_at: datetime
    applied_at: datetime | None = None
    applied_fen: int | None = None
    refunded_total_fen: int | None = None
    clawed_back_points: int | None = None
    debt_points: int | None = None
    returned_points: int | None = None
    growth: int | None = None
    #: Whether its lines go with the order; None also when it names none. A refund that came first
    #: and names what the order does not have counts by its amount alone: the money is gone.
    items_match: bool | None = None


def pieces_refunded(refunds: Iterable[Refund]) -> Counter[str]:
    """How many pieces of each SKU refunds by line have taken back."""
    counted: Counter[str] = Counter()
    for refund in refunds:
        if refund.items_match:
            counted.update(_pieces(refund.facts.items or ()))
    return counted


def refuse_items(order: Order, *, facts: RefundFacts, refunds: Iterable[Refund]) -> None:
    """Raise RefundItemUnknown or RefundItemExceeded when the refund's lines are not the order's.

    Lines are told apart by SKU; several of the same SKU count as one.
    """
    ordered, gone = _pieces(order.items), pieces_refunded(refunds)
    for sku, quantity in _pieces(facts.items or ()).items():
        if sku not in ordered:
            raise RefundItemUnknown(sku=sku)
        left = ordered[sku] - gone[sku]
        if quantity > left:
            raise RefundItemExceeded(sku=sku, asked=quantity, left=left)


def items_match(order: Order, *, facts: RefundFacts, refunds: Iterable[Refund]) -> bool | None:
    """Whether the refund's lines are the order's; None when it names none."""
    if not facts.items:
        return None
    try:
        refuse_items(order, facts=facts, refunds=refunds)
    except (RefundItemUnknown, RefundItemExceeded):
        return False
    return True


def _pieces(items: Iterable[OrderItem]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for item in items:
        counted[item.sku] += item.quantity
    return counted
