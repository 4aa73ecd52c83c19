"""Events that loyalty publishes. The subject of each is the member, unless it says otherwise."""

from shared.contracts.loyalty.members import (
    MemberEnrolled,
    MemberErased,
    MemberMerged,
    MembersImported,
    MemberUnmerged,
    TierChanged,
)
from shared.contracts.loyalty.orders import (
    ImportedOrder,
    OrderCompleted,
    OrderPaid,
    OrderRefunded,
    OrdersImported,
)
from shared.contracts.loyalty.points import (
    PointsClawedBack,
    PointsEarned,
    PointsExpired,
    PointsRedeemed,
    PointsReleased,
    PointsRestored,
)
from shared.contracts.loyalty.vouchers import (
    RewardRefused,
    RewardReversed,
    VoucherIssued,
    VoucherRedeemed,
    VoucherVoided,
)

__all__ = [
    "ImportedOrder",
    "MemberEnrolled",
    "MemberErased",
    "MemberMerged",
    "MemberUnmerged",
    "MembersImported",
    "OrderCompleted",
    "OrderPaid",
    "OrderRefunded",
    "OrdersImported",
    "PointsClawedBack",
    "PointsEarned",
    "PointsExpired",
    "PointsRedeemed",
    "PointsReleased",
    "PointsRestored",
    "RewardRefused",
    "RewardReversed",
    "TierChanged",
    "VoucherIssued",
    "VoucherRedeemed",
    "VoucherVoided",
]
