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
    ImportedPoints,
    PointsClawedBack,
    PointsEarned,
    PointsExpired,
    PointsImported,
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
    "ImportedPoints",
    "MemberEnrolled",
    "MembersImported",
    "OrderCompleted",
    "OrderPaid",
    "OrderRefunded",
    "OrdersImported",
    "PointsClawedBack",
    "PointsEarned",
    "PointsExpired",
    "PointsImported",
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
