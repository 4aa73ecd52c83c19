"""Every table of this service."""

from services.loyalty.store.tables.adjustments import Adjustment
from services.loyalty.store.tables.audit import (
    LedgerCheckpoint,
    LedgerCheckpointHead,
    LedgerReconciliation,
)
from services.loyalty.store.tables.base import metadata
from services.loyalty.store.tables.expiries import (
    ExpiryExtension,
    ExpiryNotice,
    ExpiryNoticeFailure,
    ExpiryNoticeLot,
)
from services.loyalty.store.tables.imports import Import, ImportedMovement, ImportRefusal
from services.loyalty.store.tables.members import (
    Account,
    GrowthEntry,
    Identity,
    Member,
    ProgrammeVersion,
    TierChange,
)
from services.loyalty.store.tables.merges import (
    ErasedIdentity,
    KeptReply,
    MemberMerge,
    MemberMergeMove,
)
from services.loyalty.store.tables.orders import (
    EarlyCompletion,
    Order,
    OrderCancellation,
    Refund,
)
from services.loyalty.store.tables.points import (
    EntryReason,
    LotAllocation,
    PointEntry,
    PointLot,
    Redemption,
)
from services.loyalty.store.tables.reservations import Reservation
from services.loyalty.store.tables.transfers import Transfer
from services.loyalty.store.tables.vouchers import Reward, Voucher, VoucherTemplate
from shared.tables import add_technical_tables

add_technical_tables(metadata)

__all__ = [
    "Account",
    "Adjustment",
    "EarlyCompletion",
    "EntryReason",
    "ErasedIdentity",
    "ExpiryExtension",
    "ExpiryNotice",
    "ExpiryNoticeFailure",
    "ExpiryNoticeLot",
    "GrowthEntry",
    "Identity",
    "Import",
    "ImportRefusal",
    "ImportedMovement",
    "KeptReply",
    "LedgerCheckpoint",
    "LedgerCheckpointHead",
    "LedgerReconciliation",
    "LotAllocation",
    "Member",
    "MemberMerge",
    "MemberMergeMove",
    "Order",
    "OrderCancellation",
    "PointEntry",
    "PointLot",
    "ProgrammeVersion",
    "Redemption",
    "Refund",
    "Reservation",
    "Reward",
    "TierChange",
    "Transfer",
    "Voucher",
    "VoucherTemplate",
    "metadata",
]
