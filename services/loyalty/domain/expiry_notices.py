"""Notices of expiry: what a member was told would lapse, and whether it reached them in time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.loyalty.domain.lots import Lot
from services.loyalty.domain.lots_rules import LotsRules
from services.loyalty.domain.moments import CLOCK_SKEW, refuse_future
from shared.kernel.errors import InvalidField

NoticeState = Literal["announced", "failed", "delivered", "closed"]
#: Why a lot past its day was extended instead of lapsing.
ExtensionReason = Literal[
    "never_announced", "not_delivered", "delivered_too_late", "points_added_after_notice",
    "by_operator",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One notice: which lots, with how many points each, lapse at `expires_at`, less those gone.

    It counts when it was delivered by `deliver_by`, fixed when it was made.
    """

    id: str
    expires_at: datetime
    deliver_by: datetime
    delivered_at: datetime | None
    lots: Mapping[str, int]

    @property
    def in_time(self) -> bool:
        """Whether it reached the member early enough."""
        return self.delivered_at is not None and self.delivered_at <= self.deliver_by

    def covers(self, lot: Lot) -> bool:
        """Whether it speaks of all that remains of the lot."""
        return self.lots.get(lot.id, 0) >= lot.remaining


def deliver_by(expires_at: datetime, *, rules: LotsRules) -> datetime:
    """The last moment at which a notice still counts."""
    return expires_at - timedelta(days=rules.least_notice_days)


def covering(lot: Lot, notices: Sequence[Notice]) -> Notice | ExtensionReason:
    """The notice that lets a lot lapse at its day, or why there is none.

    Only notices of that very day count: one of another day told the member something else.
    """
    same_day = [one for one in notices if one.expires_at == lot.expires_at]
    whole = [one for one in same_day if one.covers(lot)]
    delivered = [one for one in whole if one.delivered_at is not None]
    in_time = next((one for one in delivered if one.in_time), None)
    if in_time is not None:
        return in_time
    if not same_day:
        return "never_announced"
    if not whole:
        return "points_added_after_notice"
    return "delivered_too_late" if delivered else "not_delivered"


def require_possible(delivered_at: datetime, *, announced_at: datetime, now: datetime) -> None:
    """Raise InvalidField for a delivery before its notice was made, or in the future."""
    refuse_future(delivered_at, now=now, pointer="/delivered_at")
    if delivered_at < announced_at - CLOCK_SKEW:
        raise InvalidField(pointer="/delivered_at", reason="before_its_notice")
