"""Events about members and their tiers."""

from datetime import datetime
from typing import ClassVar

from shared.contracts.envelope import EventData


class MemberEnrolled(EventData):
    """A new member. `referral_code` as the newcomer gave it, checked by nobody yet."""

    type: ClassVar[str] = "member.enrolled.v1"

    member_id: str
    enrolled_at: datetime
    referral_code: str | None = None
    device_id: str | None = None


class MembersImported(EventData):
    """Members that came with an imported history. The subject is the import."""

    type: ClassVar[str] = "members.imported.v1"

    import_id: str
    member_ids: list[str]
    imported_at: datetime


class TierChanged(EventData):
    """A member stands in another tier."""

    type: ClassVar[str] = "tier.changed.v1"

    member_id: str
    from_tier: str
    to_tier: str
    growth: int
    cause_kind: str
    cause_id: str
