"""Events about the end of lots. The subject is the member."""

from datetime import datetime
from typing import ClassVar

from shared.contracts.envelope import EventData


class PointsExpiring(EventData):
    """Points lapse at `expires_at`, if the member is told by `deliver_by`. For who delivers it."""

    type: ClassVar[str] = "points.expiring.v1"

    notice_id: str
    member_id: str
    points: int
    expires_at: datetime
    deliver_by: datetime


class PointsExpiryExtended(EventData):
    """A lot's expiry moved later: nobody told the member in time, or an operator wanted it.

    `reason` is never_announced, not_delivered, delivered_too_late, points_added_after_notice or
    by_operator; others may come.
    """

    type: ClassVar[str] = "points.expiry_extended.v1"

    extension_id: str
    member_id: str
    lot_id: str
    points: int
    reason: str
    previous_expires_at: datetime
    expires_at: datetime


class PointsReinstated(EventData):
    """An operator gave lapsed points back to their lot."""

    type: ClassVar[str] = "points.reinstated.v1"

    reinstatement_id: str
    member_id: str
    lot_id: str
    points: int
    expires_at: datetime | None
