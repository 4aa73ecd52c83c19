"""Vouchers: what one takes off, when it counts, and the single time it is redeemed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from services.loyalty.domain.facts import AlreadyRecordedDifferently
from shared.kernel.clock import business_day, business_day_start
from shared.kernel.errors import Refusal
from shared.kernel.money import yuan_text

VoucherKind = Literal["amount_off", "percent_off", "new_customer", "gift"]
VoucherState = Literal["issued", "held", "redeemed", "expired", "voided", "frozen"]

_WHOLE: Final = 100


class VoucherAlreadyRedeemed(Refusal):
    """The voucher was used, on another order."""

    code = "voucher_already_redeemed"


class VoucherExpired(Refusal):
    """Its last valid day is over."""

    code = "voucher_expired"


class VoucherNotYetValid(Refusal):
    """Its first valid moment is still to come."""

    code = "voucher_not_yet_valid"


class VoucherVoided(Refusal):
    """It was taken back before it was used."""

    code = "voucher_voided"


class VoucherHeld(Refusal):
    """A checkout in progress holds it."""

    code = "voucher_held"


class VoucherFrozen(Refusal):
    """It may not be used until it is decided what becomes of it."""

    code = "voucher_frozen"


class VoucherBelowThreshold(Refusal):
    """The order does not reach the amount from which the voucher counts."""

    code = "voucher_below_threshold"


class VoucherForNewCustomers(Refusal):
    """It counts on a customer's first order only, and this is not the first."""

    code = "voucher_for_new_customers"


class VoucherExclusive(Refusal):
    """One of this voucher and those used on the order before may only be used alone."""

    code = "voucher_exclusive"


class OrderGone(Refusal):
    """Nothing is kept of the order any more: it was cancelled or refunded in full."""

    code = "order_gone"


class OrderOfAnother(Refusal):
    """The order is another member's, and what is used on it could not come back."""

    code = "order_of_another_member"


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What a voucher takes off, and from which amount on."""

    kind: VoucherKind
    amount_fen: int | None = None
    #: Hundredths of the price that are taken off: 15 is 85折.
    percent_off: int | None = None
    #: The most a percentage takes off.
    cap_fen: int | None = None
    threshold_fen: int = 0

    def gap_fen(self, *, order_fen: int) -> int:
        """How much is missing for the voucher to count; 0 when nothing is."""
        return max(0, self.threshold_fen - order_fen)

    def discount_fen(self, *, order_fen: int) -> int:
        """What comes off an order that reaches the threshold; never more than the order itself.

        A percentage is rounded down to the fen. A gift takes nothing off: it is handed over.
        """
        off = self.amount_fen or 0
        if self.percent_off is not None:
            off = order_fen * self.percent_off // _WHOLE
            off = off if self.cap_fen is None else min(off, self.cap_fen)
        return min(off, order_fen)


@dataclass(frozen=True, kw_only=True)
class Period:
    """From `valid_from` on, up to but without `expires_at`."""

    valid_from: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Validity:
    """Days after issue, or fixed moments. Exactly one of `days` and `valid_until` is set."""

    days: int | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def period(self, *, issued_at: datetime) -> Period:
        """When a voucher issued now counts.

        Days are business days: a voucher for 30 days lapses when the thirtieth day after the day
        of issue ends in Shanghai, so its holder has thirty full days at the least.
        """
        if self.days is not None:
            after = business_day(issued_at) + timedelta(days=self.days + 1)
            return Period(valid_from=issued_at, expires_at=business_day_start(after))
        assert self.valid_until is not None
        return Period(valid_from=self.valid_from or issued_at, expires_at=self.valid_until)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """All that decides whether a voucher can be redeemed."""

    state: VoucherState
    worth: Worth
    period: Period
    #: The order it was redeemed on, and that order's amount.
    order_id: str | None = None
    order_fen: int | None = None


def state_at(state: VoucherState, *, expires_at: datetime, now: datetime) -> VoucherState:
    """The state as it reads at a moment: an unused voucher past its end is expired, at once."""
    return "expired" if state == "issued" and expires_at <= now else state


def is_repeated(standing: Standing, *, order_id: str, order_fen: int) -> bool:
    """Whether this very order redeemed it before. Raises when its amount was another."""
    if standing.state != "redeemed" or standing.order_id != order_id:
        return False
    if standing.order_fen != order_fen:
        raise AlreadyRecordedDifferently(id=order_id)
    return True


def redeemed_discount_fen(standing: Standing, *, order_fen: int, now: datetime) -> int:
    """What the voucher takes off this order. Raises the reason for which it cannot be used."""
    state = state_at(standing.state, expires_at=standing.period.expires_at, now=now)
    if state != "issued":
        raise _UNUSABLE[state]
    if now < standing.period.valid_from:
        raise VoucherNotYetValid
    gap_fen = standing.worth.gap_fen(order_fen=order_fen)
    if gap_fen:
        raise VoucherBelowThreshold(gap_fen=gap_fen, gap_yuan=yuan_text(gap_fen))
    return standing.worth.discount_fen(order_fen=order_fen)


_UNUSABLE: Final[dict[VoucherState, type[Refusal]]] = {
    "held": VoucherHeld,
    "redeemed": VoucherAlreadyRedeemed,
    "expired": VoucherExpired,
    "voided": VoucherVoided,
    "frozen": VoucherFrozen,
}
