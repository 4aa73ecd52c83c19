"""Orders and refunds: what was reported, and the closed form of what a refund takes back."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from services.loyalty.domain.facts import facts_hash
from services.loyalty.domain.imports import lasting
from services.loyalty.domain.programme import (
    Programme,
    earned_growth,
    earned_points,
    expires_at,
)
from shared.kernel.errors import Refusal
from shared.kernel.money import yuan_text

OrderState = Literal["paid", "completed", "cancelled", "refunded"]


class OrderRefunded(Refusal):
    """Everything of the order went back, so it can no longer be completed."""

    code = "order_refunded"


class RefundExceedsPayment(Refusal):
    """More would go back than was paid; the facts say how much still can."""

    code = "refund_exceeds_payment"

    def __init__(self, *, refundable_fen: int) -> None:
        super().__init__(refundable_fen=refundable_fen, refundable_yuan=yuan_text(refundable_fen))


@dataclass(frozen=True, kw_only=True)
class OrderItem:
    """One line of an order or of a refund."""

    sku: str
    category: str | None
    quantity: int
    paid_fen: int


@dataclass(frozen=True, kw_only=True)
class OrderFacts:
    """An order as the storefront reports it. `payer_hash` is keyed, never the payer's own id."""

    order_id: str
    member_id: str
    paid_fen: int
    discount_fen: int
    items: tuple[OrderItem, ...]
    channel: str | None
    reservation_id: str | None
    device_id: str | None
    payer_hash: str | None
    paid_at: datetime

    def hash(self) -> bytes:
        """What tells two reports of the same order id apart."""
        return facts_hash(
            [
                self.order_id, self.member_id, self.paid_fen, self.discount_fen,
                item_rows(self.items), self.channel, self.reservation_id, self.device_id,
                self.payer_hash, self.paid_at.isoformat(),
            ]
        )  # fmt: skip


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
class Order:
    """An order on record, with the rules it earned under."""

    order_id: str
    member_id: str
    state: OrderState
    paid_fen: int
    discount_fen: int
    refunded_fen: int
    facts_hash: bytes
    programme: Programme
    multiplier_percent: int
    earned_points: int
    clawed_back_points: int
    growth: int
    tier_at_recording: str | None
    refunded_at_recording_fen: int
    import_id: str | None
    paid_at: datetime
    completed_at: datetime | None
    recorded_at: datetime

    @property
    def refundable_fen(self) -> int:
        """What may still go back."""
        return self.paid_fen - self.refunded_fen

    @property
    def available_at(self) -> datetime | None:
        """When its points become available; None until it is completed."""
        if self.completed_at is None:
            return None
        return self.completed_at + timedelta(days=self.programme.hold_days)

    @property
    def expires_at(self) -> datetime | None:
        """When its points lapse; None until it is completed, or never.

        An imported order may be so old that they would have: they are given some time yet.
        """
        if self.available_at is None:
            return None
        by_rule = expires_at(self.programme.expiry, available_at=self.available_at)
        return by_rule if self.import_id is None else lasting(by_rule, now=self.recorded_at)


@dataclass(frozen=True, kw_only=True)
class Refund:
    """A refund on record. The last five are None while its order is unknown."""

    facts: RefundFacts
    facts_hash: bytes
    member_id: str | None
    recorded_at: datetime
    applied_fen: int | None = None
    refunded_total_fen: int | None = None
    clawed_back_points: int | None = None
    debt_points: int | None = None
    growth: int | None = None


@dataclass(frozen=True, kw_only=True)
class Earning:
    """Points and growth that go together."""

    points: int
    growth: int


def earning(order: Order, *, kept_fen: int) -> Earning:
    """What an order earns when so much of it is kept, under the rules it was recorded with.

    An imported order that earned nothing when it was recorded has nothing to give back either.
    """
    if order.import_id is not None and not order.earned_points and not order.growth:
        return Earning(points=0, growth=0)
    return earning_under(
        order.programme, multiplier_percent=order.multiplier_percent, kept_fen=kept_fen
    )


def earning_under(programme: Programme, *, multiplier_percent: int, kept_fen: int) -> Earning:
    """What an amount earns under some rules and a tier's multiplier."""
    return Earning(
        points=earned_points(
            paid_fen=kept_fen,
            points_per_yuan=programme.points_per_yuan,
            multiplier_percent=multiplier_percent,
        ),
        growth=earned_growth(paid_fen=kept_fen, growth_per_yuan=programme.growth_per_yuan),
    )


def as_first_told(order: Order) -> Order:
    """The order as it stood when it was recorded, to give the first reply again."""
    refunded_fen = order.refunded_at_recording_fen
    kept = earning(order, kept_fen=order.paid_fen - refunded_fen)
    return replace(
        order,
        state="refunded" if refunded_fen and refunded_fen == order.paid_fen else "paid",
        refunded_fen=refunded_fen,
        clawed_back_points=order.earned_points - kept.points,
        completed_at=None,
    )


def clawback(order: Order, *, amount_fen: int) -> Earning:
    """What one more refund takes back: earned(kept before) less earned(kept after).

    Summed over any split in any order this is earned(as paid) less earned(what is kept).
    """
    kept_fen = order.refundable_fen
    before = earning(order, kept_fen=kept_fen)
    after = earning(order, kept_fen=kept_fen - amount_fen)
    return Earning(points=before.points - after.points, growth=before.growth - after.growth)


def item_rows(items: tuple[OrderItem, ...]) -> list[dict[str, str | int | None]]:
    """Items as they are stored."""
    return [
        {
            "sku": item.sku,
            "category": item.category,
            "quantity": item.quantity,
            "paid_fen": item.paid_fen,
        }
        for item in items
    ]
