"""Events that loyalty publishes. The subject of each is the member, unless it says otherwise."""

from shared.contracts.loyalty.members import (
    MemberEnrolled,
    MembersImported,
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
    AdjustmentRejected,
    AdjustmentRequested,
    PointsAdjusted,
    PointsClawedBack,
    PointsEarned,
    PointsExpired,
    PointsRedeemed,
    PointsReleased,
    PointsRestored,
    PointsTransferred,
)
from shared.contracts.loyalty.vouchers import (
    RewardRefused,
    RewardReversed,
    VoucherIssued,
    VoucherRedeemed,
    VoucherVoided,
)

__all__ = [
    "AdjustmentRejected",
    "AdjustmentRequested",
    "ImportedOrder",
    "MemberEnrolled",
    "MembersImported",
    "OrderCompleted",
    "OrderPaid",
    "OrderRefunded",
    "OrdersImported",
    "PointsAdjusted",
    "PointsClawedBack",
    "PointsEarned",
    "PointsExpired",
    "PointsRedeemed",
    "PointsReleased",
    "PointsRestored",
    "PointsTransferred",
    "RewardRefused",
    "RewardReversed",
    "TierChanged",
    "VoucherIssued",
    "VoucherRedeemed",
    "VoucherVoided",
]
