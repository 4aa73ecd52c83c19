"""Every table of this service."""

from services.loyalty.store.tables.base import metadata
from services.loyalty.store.tables.imports import Import, ImportedMovement, ImportRefusal
from services.loyalty.store.tables.members import (
    Account,
    GrowthEntry,
    Identity,
    Member,
    ProgrammeVersion,
    TierChange,
)
from services.loyalty.store.tables.orders import Order, Refund
from services.loyalty.store.tables.points import LotAllocation, PointEntry, PointLot, Redemption
from services.loyalty.store.tables.reservations import Reservation
from services.loyalty.store.tables.vouchers import Reward, Voucher, VoucherTemplate
from shared.tables import add_technical_tables

add_technical_tables(metadata)

__all__ = [
    "Account",
    "GrowthEntry",
    "Identity",
    "Import",
    "ImportRefusal",
    "ImportedMovement",
    "LotAllocation",
    "Member",
    "Order",
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
