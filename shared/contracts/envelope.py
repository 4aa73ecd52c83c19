"""The envelope of every event: CloudEvents 1.0, JSON format."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class EventData(BaseModel):
    """What an event says. Subclasses set `type`, `<noun>.<past participle>.v<major>`.

    Inside a major version fields are only added, with a default. No phone, openid or name, ever:
    the log is kept when a person is erased.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]


class CloudEvent(BaseModel):
    """One event as the feed and Redis carry it (CloudEvents 1.0.2 §3, with extensions)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    #: Place in the producer's log: 1, 2, 3 … without holes.
    pos: int
    #: Count of events of this subject so far, this one included.
    subjectversion: int
    #: Changes when the producer's log is restored from a backup.
    epoch: UUID
    traceparent: str | None = None
    data: dict[str, object]
