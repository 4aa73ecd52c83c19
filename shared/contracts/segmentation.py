"""Events that segmentation publishes. The subject of each is the member."""

from datetime import date
from typing import ClassVar, Literal

from shared.contracts.envelope import EventData

MoveCause = Literal["order", "refund", "import", "night", "run"]


class SegmentEntered(EventData):
    """A member came into a segment."""

    type: ClassVar[str] = "segment.entered.v1"

    member_id: str
    scheme: Literal["segment", "segment_11", "group"]
    segment: str
    previous: str | None
    cause: MoveCause
    as_of: date


class SegmentLeft(EventData):
    """A member went out of a segment."""

    type: ClassVar[str] = "segment.left.v1"

    member_id: str
    scheme: Literal["segment", "segment_11", "group"]
    segment: str
    next: str | None
    cause: MoveCause
    as_of: date
