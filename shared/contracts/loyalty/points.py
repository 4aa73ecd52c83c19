"""Events about points. The subject is the member."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from shared.contracts.envelope import EventData


class PointsEarned(EventData):
    """Points were credited; pending until `available_at`, which may not be known yet."""

    type: ClassVar[str] = "points.earned.v1"

    member_id: str
    points: int
    status: Literal["pending", "available"]
    available_at: datetime | None
    expires_at: datetime | None
    cause_kind: str
    cause_id: str


class PointsReleased(EventData):
    """Pending points became available."""

    type: ClassVar[str] = "points.released.v1"

    member_id: str
    points: int
    cause_kind: str
    cause_id: str


class PointsRedeemed(EventData):
    """Points were spent."""

    type: ClassVar[str] = "points.redeemed.v1"

    member_id: str
    redemption_id: str
    points: int
    purpose: str


class PointsRestored(EventData):
    """A redemption was cancelled and its points went back to the lots they came from."""

    type: ClassVar[str] = "points.restored.v1"

    member_id: str
    redemption_id: str
    points: int


class PointsClawedBack(EventData):
    """Points of a refunded order were taken back; `debt` is the part that was already spent."""

    type: ClassVar[str] = "points.clawed_back.v1"

    member_id: str
    order_id: str
    refund_id: str
    points: int
    debt: int


class PointsExpired(EventData):
    """Points of a lot lapsed, after a notice of it had been delivered in time."""

    type: ClassVar[str] = "points.expired.v1"

    member_id: str
    lot_id: str
    points: int
    notice_id: str | None = None


class PointsTransferred(EventData):
    """Points went from one member to another; told once of each, who is the subject."""

    type: ClassVar[str] = "points.transferred.v1"

    member_id: str
    other_member_id: str
    transfer_id: str
    direction: Literal["sent", "received"]
    points: int


class PointsAdjusted(EventData):
    """An operator gave points, good until `expires_at` (null: always), or took (negative) some."""

    type: ClassVar[str] = "points.adjusted.v1"

    member_id: str
    adjustment_id: str
    points: int
    expires_at: datetime | None


class AdjustmentRequested(EventData):
    """An adjustment waits for a second person; nothing has moved."""

    type: ClassVar[str] = "adjustment.requested.v1"

    member_id: str
    adjustment_id: str
    points: int


class AdjustmentRejected(EventData):
    """A second person said no to an adjustment; nothing will move."""

    type: ClassVar[str] = "adjustment.rejected.v1"

    member_id: str
    adjustment_id: str
    points: int


class ImportedPoints(BaseModel):
    """By how much a batch of an import changed what a member can count on; debt counts against."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    member_id: str
    points: int


class PointsImported(EventData):
    """Points that came with a batch of an import, of points or of orders that earn.

    The subject is the import.
    """

    type: ClassVar[str] = "points.imported.v1"

    import_id: str
    members: list[ImportedPoints]
    imported_at: datetime
