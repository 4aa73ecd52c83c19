"""What taking a referral reward back does to the voucher that was issued for it."""

from dataclasses import dataclass
from typing import Literal

from services.loyalty.domain.vouchers import VoucherState

Outcome = Literal["voided", "written_off", "never_issued"]


@dataclass(frozen=True, kw_only=True)
class Reversal:
    """How a reward is taken back."""

    #: The voucher's state afterwards.
    voucher_state: VoucherState
    #: None while a checkout in progress decides whether the voucher was used.
    outcome: Outcome | None


def reverse(voucher_state: VoucherState) -> Reversal:
    """Take back the voucher of a reward.

    Unused, it is voided, and so is an expired one: whether its last day ended before the reversal
    came must not matter. Held by a checkout, it is frozen. Used, it stays used and the amount is
    written off, the programme's default policy.
    """
    if voucher_state == "redeemed":
        return Reversal(voucher_state="redeemed", outcome="written_off")
    if voucher_state == "held":
        return Reversal(voucher_state="frozen", outcome=None)
    return Reversal(voucher_state="voided", outcome="voided")


def reward_key(*, amount_fen: int, threshold_fen: int, validity_days: int) -> str:
    """What makes two rewards be issued from the same template."""
    return f"amount_off:{amount_fen}:{threshold_fen}:{validity_days}"
