"""Events that referral publishes. The subject of each is the referral."""

from typing import ClassVar, Literal

from shared.contracts.envelope import EventData

Role = Literal["referrer", "referee"]


class ReferralEnrolled(EventData):
    """A newcomer is bound to the member who brought them."""

    type: ClassVar[str] = "referral.enrolled.v1"

    referral_id: str
    referrer_id: str
    referee_id: str


class ReferralRejected(EventData):
    """A newcomer gave a code, but no referral comes of it; the reason is a code."""

    type: ClassVar[str] = "referral.rejected.v1"

    referral_id: str
    referee_id: str
    reason: str


class ReferralQualified(EventData):
    """The referee's first order met the programme's conditions."""

    type: ClassVar[str] = "referral.qualified.v1"

    referral_id: str
    referrer_id: str
    referee_id: str
    order_id: str


class RewardDue(EventData):
    """Loyalty shall put a voucher into the beneficiary's wallet, once for this reward."""

    type: ClassVar[str] = "referral.reward_due.v1"

    reward_id: str
    referral_id: str
    stage: str
    role: Role
    beneficiary_id: str
    amount_fen: int
    #: The voucher counts on an order of at least this.
    threshold_fen: int
    validity_days: int


class RewardReversalDue(EventData):
    """Loyalty shall take back what was issued for this reward, or never issue it."""

    type: ClassVar[str] = "referral.reward_reversal_due.v1"

    reward_id: str
    referral_id: str
    beneficiary_id: str
    reason: str
