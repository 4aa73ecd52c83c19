"""Every table of this service."""

from services.loyalty.store.tables.base import metadata
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
from services.loyalty.store.tables.orders import Order, OrderImport, OrderImportRefusal, Refund
from services.loyalty.store.tables.points import LotAllocation, PointEntry, PointLot, Redemption
from services.loyalty.store.tables.reservations import Reservation
from services.loyalty.store.tables.vouchers import Reward, Voucher, VoucherTemplate
from shared.tables import add_technical_tables

add_technical_tables(metadata)

__all__ = [
    "Account",
    "ErasedIdentity",
    "GrowthEntry",
    "Identity",
    "KeptReply",
    "LotAllocation",
    "Member",
    "MemberMerge",
    "MemberMergeMove",
    "Order",
    "OrderImport",
    "OrderImportRefusal",
    "PointEntry",
    "PointLot",
    "ProgrammeVersion",
    "Redemption",
    "Refund",
    "Reservation",
    "Reward",
    "TierChange",
    "Voucher",
    "VoucherTemplate",
    "metadata",
]
