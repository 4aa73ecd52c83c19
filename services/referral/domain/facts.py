"""Facts as they are heard from loyalty, with the member they belong to."""

from dataclasses import dataclass
from datetime import datetime

from services.referral.domain.orders import PaidOrder, Refund


@dataclass(frozen=True, kw_only=True)
class HeardEnrolment:
    """A member enrolled, perhaps with somebody's code, as they gave it."""

    member_id: str
    enrolled_at: datetime
    code_given: str | None = None
    device_id: str | None = None
    #: Somebody with one of the identities was erased before.
    previously_erased: bool = False


@dataclass(frozen=True, kw_only=True)
class HeardOrder:
    """A member's order was paid. Device and payer's hash show later who is the same person."""

    member_id: str
    order: PaidOrder
    device_id: str | None = None
    payer_hash: str | None = None


@dataclass(frozen=True, kw_only=True)
class HeardRefund:
    """Money of a member's order went back; when is unknown if a history only sums it up."""

    member_id: str
    refund: Refund
    refunded_at: datetime | None = None
