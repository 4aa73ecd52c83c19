"""Events about vouchers and rewards."""

from datetime import datetime
from typing import ClassVar, Literal

from shared.contracts.envelope import EventData


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


class VoucherRestored(EventData):
    """A used voucher can be used again: nothing is kept of the order it was used on."""

    type: ClassVar[str] = "voucher.restored.v1"

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
