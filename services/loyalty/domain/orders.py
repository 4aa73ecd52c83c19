"""Orders: what was reported, how they stand, and the closed forms of what they earn and return.

How an order stands depends on the set of facts reported about it, never on their order: cancelled
outweighs refunded, refunded outweighs completed, completed outweighs paid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
from shared.kernel.records import replace

OrderState = Literal["paid", "completed", "cancelled", "refunded"]


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
class CompletionFacts:
    """That an order was received, as the storefront reports it; there is one for each order."""

    order_id: str
    completed_at: datetime


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order on record, with the rules it earned under."""

    order_id: str
    member_id: str
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
    cancelled_at: datetime | None = None
    #: Whether its completion and its cancellation were known when it was recorded.
    came_completed: bool = False
    came_cancelled: bool = False
    items: tuple[OrderItem, ...] = ()
    reservation_id: str | None = None

    @property
    def state(self) -> OrderState:
        """How it stands: by what was reported of it, in whatever order."""
        if self.cancelled_at is not None:
            return "cancelled"
        if 0 < self.paid_fen == self.refunded_fen:
            return "refunded"
        return "paid" if self.completed_at is None else "completed"

    @property
    def refundable_fen(self) -> int:
        """What may still go back."""
        return self.paid_fen - self.refunded_fen

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it is kept: cancelled, or refunded in full."""
        return self.state in ("cancelled", "refunded")

    @property
    def available_at(self) -> datetime | None:
        """When its points become available; None as long as that waits for its completion."""
        begins = self.completed_at
        if self.import_id is None and self.programme.orders.pending_until == "payment":
            begins = self.paid_at
        return None if begins is None else begins + timedelta(days=self.programme.hold_days)

    @property
    def expires_at(self) -> datetime | None:
        """When its points lapse; None until it is known when they become available, or never.

        An imported order may be so old that they would have: they are given some time yet.
        """
        if self.available_at is None:
            return None
        by_rule = expires_at(self.programme.expiry, available_at=self.available_at)
        return by_rule if self.import_id is None else lasting(by_rule, now=self.recorded_at)


@dataclass(frozen=True, kw_only=True)
class Earning:
    """Points and growth that go together."""

    points: int
    growth: int

    def less(self, other: "Earning") -> "Earning":
        """The difference of two."""
        return Earning(points=self.points - other.points, growth=self.growth - other.growth)


def earning(order: Order, *, kept_fen: int) -> Earning:
    """What an order earns when so much of it is kept, under the rules it was recorded with.

    Points are earned on `kept_fen`, or, where the programme says `gross`, on the same share of
    what it would have cost without discount: gross × kept ÷ paid, rounded down (all of it when
    nothing was to be paid). Growth always follows the cash.

    An imported order that earned nothing when it was recorded has nothing to give back either.
    """
    if order.import_id is not None and not order.earned_points and not order.growth:
        return Earning(points=0, growth=0)
    return earning_under(
        order.programme,
        multiplier_percent=order.multiplier_percent,
        paid_fen=order.paid_fen,
        discount_fen=order.discount_fen,
        kept_fen=kept_fen,
    )


def earning_under(
    programme: Programme,
    *,
    multiplier_percent: int,
    paid_fen: int,
    discount_fen: int,
    kept_fen: int,
) -> Earning:
    """What an order earns under some rules and a tier's multiplier when so much of it is kept."""
    basis_fen = kept_fen
    if programme.orders.earn_on == "gross":
        gross_fen = paid_fen + discount_fen
        basis_fen = gross_fen * kept_fen // paid_fen if paid_fen else gross_fen
    return Earning(
        points=earned_points(
            paid_fen=basis_fen,
            points_per_yuan=programme.points_per_yuan,
            multiplier_percent=multiplier_percent,
        ),
        growth=earned_growth(paid_fen=kept_fen, growth_per_yuan=programme.growth_per_yuan),
    )


def kept(order: Order) -> Earning:
    """What an order leaves its member with, as it stands; nothing once it is cancelled.

    A refund takes back kept(before) less kept(after), so any split of a sum in any order takes
    back earned(as paid) less earned(what is kept).
    """
    if order.cancelled_at is not None:
        return Earning(points=0, growth=0)
    return earning(order, kept_fen=order.refundable_fen)


def returned_points(order: Order, *, spent: int) -> int:
    """How many of the points spent on an order have to be back, as it stands.

    The share of the money that went back, rounded down; all when nothing is kept. So no split of a
    refund returns more or less than the whole would.
    """
    if order.cancelled_at is not None:
        return spent
    return spent * order.refunded_fen // order.paid_fen if order.paid_fen else 0


def as_first_told(order: Order) -> Order:
    """The order as it stood when it was recorded, to give the first reply again."""
    first = replace(
        order,
        refunded_fen=order.refunded_at_recording_fen,
        completed_at=order.completed_at if order.came_completed else None,
        cancelled_at=order.cancelled_at if order.came_cancelled else None,
    )
    return replace(first, clawed_back_points=order.earned_points - kept(first).points)


def item_rows(items: Sequence[OrderItem]) -> list[dict[str, str | int | None]]:
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
