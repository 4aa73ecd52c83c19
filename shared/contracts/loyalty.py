"""Events that loyalty publishes. The subject of each is the member, unless it says otherwise."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from shared.contracts.envelope import EventData


class MemberEnrolled(EventData):
    """A new member. `referral_code` as the newcomer gave it, checked by nobody yet."""

    type: ClassVar[str] = "member.enrolled.v1"

    member_id: str
    enrolled_at: datetime
    referral_code: str | None = None
    device_id: str | None = None


class MembersImported(EventData):
    """Members that came with an imported history. The subject is the import."""

    type: ClassVar[str] = "members.imported.v1"

    import_id: str
    member_ids: list[str]
    imported_at: datetime


class OrderPaid(EventData):
    """An order was recorded as paid. `payer_id` is a keyed hash, not the payer's own id."""

    type: ClassVar[str] = "order.paid.v1"

    order_id: str
    member_id: str
    paid_fen: int
    discount_fen: int = 0
    paid_at: datetime
    channel: str | None = None
    device_id: str | None = None
    payer_hash: str | None = None


class OrderCompleted(EventData):
    """The customer confirmed that the order was received."""

    type: ClassVar[str] = "order.completed.v1"

    order_id: str
    member_id: str
    completed_at: datetime


class OrderRefunded(EventData):
    """Money of an order went back. One event for each refund, after its order is known."""

    type: ClassVar[str] = "order.refunded.v1"

    order_id: str
    refund_id: str
    member_id: str
    amount_fen: int
    #: All refunds of the order so far, this one included, at most what was paid.
    refunded_total_fen: int
    #: Whether nothing that was paid is kept.
    in_full: bool
    refunded_at: datetime


class ImportedOrder(BaseModel):
    """One order of an imported history."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    order_id: str
    member_id: str
    paid_fen: int
    refunded_fen: int = 0
    paid_at: datetime


class OrdersImported(EventData):
    """Some orders of an imported history. The subject is the import."""

    type: ClassVar[str] = "orders.imported.v1"

    import_id: str
    orders: list[ImportedOrder]


class PointsEarned(EventData):
    """Points were credited; pending until `available_at`, which may not be known yet."""

    type: ClassVar[str] = "points.earned.v1"

    member_id: str
    points: int
    status: Literal["pending", "available"]
    available_at: datetime | None
    expires_at: datetime | None
    cause_kind: str
    cause_id: str


class PointsReleased(EventData):
    """Pending points became available."""

    type: ClassVar[str] = "points.released.v1"

    member_id: str
    points: int
    cause_kind: str
    cause_id: str


class PointsRedeemed(EventData):
    """Points were spent."""

    type: ClassVar[str] = "points.redeemed.v1"

    member_id: str
    redemption_id: str
    points: int
    purpose: str


class PointsRestored(EventData):
    """A redemption was cancelled and its points went back to the lots they came from."""

    type: ClassVar[str] = "points.restored.v1"

    member_id: str
    redemption_id: str
    points: int


class PointsClawedBack(EventData):
    """Points of a refunded order were taken back; `debt` is the part that was already spent."""

    type: ClassVar[str] = "points.clawed_back.v1"

    member_id: str
    order_id: str
    refund_id: str
    points: int
    debt: int


class PointsExpired(EventData):
    """Points of a lot lapsed."""

    type: ClassVar[str] = "points.expired.v1"

    member_id: str
    lot_id: str
    points: int


class TierChanged(EventData):
    """A member stands in another tier."""

    type: ClassVar[str] = "tier.changed.v1"

    member_id: str
    from_tier: str
    to_tier: str
    growth: int
    cause_kind: str
    cause_id: str


class VoucherIssued(EventData):
    """A voucher was put into a member's wallet. `source_id` names what it was issued for."""

    type: ClassVar[str] = "voucher.issued.v1"

    voucher_id: str
    member_id: str
    template_id: str
    amount_fen: int | None
    source_kind: str
    source_id: str
    expires_at: datetime


class VoucherRedeemed(EventData):
    """A voucher was used."""

    type: ClassVar[str] = "voucher.redeemed.v1"

    voucher_id: str
    member_id: str
    order_id: str
    source_kind: str
    source_id: str


class VoucherVoided(EventData):
    """An unused voucher was taken back."""

    type: ClassVar[str] = "voucher.voided.v1"

    voucher_id: str
    member_id: str
    source_kind: str
    source_id: str
    reason: str


class RewardRefused(EventData):
    """A reward could not be issued, for good; the reason is a code."""

    type: ClassVar[str] = "reward.refused.v1"

    reward_id: str
    member_id: str
    reason: str


class RewardReversed(EventData):
    """What became of a reward that was taken back.

    `voided`: the voucher was unused. `written_off`: it had been used. `never_issued`: the reversal
    came first, and the reward will not be issued any more.
    """

    type: ClassVar[str] = "reward.reversed.v1"

    reward_id: str
    member_id: str
    voucher_id: str | None
    outcome: Literal["voided", "written_off", "never_issued"]
