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
    #: Somebody with one of the identities was erased before, so this is no new customer.
    previously_erased: bool = False


class MemberMerged(EventData):
    """The source goes on as the member: all that it had is the member's. Told to both subjects."""

    type: ClassVar[str] = "member.merged.v1"

    merge_id: str
    member_id: str
    source_member_id: str
    merged_at: datetime


class MemberUnmerged(EventData):
    """A merge was taken back: the two are two again. Told to both subjects."""

    type: ClassVar[str] = "member.unmerged.v1"

    merge_id: str
    member_id: str
    source_member_id: str
    unmerged_at: datetime


class MemberErased(EventData):
    """A person is gone. Whoever keeps something of theirs erases it; ids and amounts may stay."""

    type: ClassVar[str] = "member.erased.v1"

    member_id: str
    erased_at: datetime


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
