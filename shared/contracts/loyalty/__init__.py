"""Events that loyalty publishes. The subject of each is the member, unless it says otherwise."""

from shared.contracts.loyalty.ledger import LedgerDisagreed
from shared.contracts.loyalty.lots import (
    PointsExpiring,
    PointsExpiryExtended,
    PointsReinstated,
)
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
    OrderCancelled,
    OrderCompleted,
    OrderPaid,
    OrderRefunded,
    OrdersImported,
)
from shared.contracts.loyalty.points import (
    AdjustmentRejected,
    AdjustmentRequested,
    ImportedPoints,
    PointsAdjusted,
    PointsClawedBack,
    PointsEarned,
    PointsExpired,
    PointsImported,
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
    VoucherRestored,
    VoucherVoided,
)

__all__ = [
    "AdjustmentRejected",
    "AdjustmentRequested",
    "ImportedOrder",
    "ImportedPoints",
    "LedgerDisagreed",
    "MemberEnrolled",
    "MemberErased",
    "MemberMerged",
    "MemberUnmerged",
    "MembersImported",
    "OrderCancelled",
    "OrderCompleted",
    "OrderPaid",
    "OrderRefunded",
    "OrdersImported",
    "PointsAdjusted",
    "PointsClawedBack",
    "PointsEarned",
    "PointsExpired",
    "PointsExpiring",
    "PointsExpiryExtended",
    "PointsImported",
    "PointsRedeemed",
    "PointsReinstated",
    "PointsReleased",
    "PointsRestored",
    "PointsTransferred",
    "RewardRefused",
    "RewardReversed",
    "TierChanged",
    "VoucherIssued",
    "VoucherRedeemed",
    "VoucherRestored",
    "VoucherVoided",
]
