"""The activity policy: whoever keeps buying or spending keeps their points."""

from collections.abc import Sequence
from datetime import datetime

from services.loyalty.domain.ledger import Account
from services.loyalty.domain.lots import Lot
from services.loyalty.domain.programme import Expiry, expires_at
from shared.kernel.records import replace


def has_renewable(account: Account) -> bool:
    """Whether any loaded lot follows the member's activity at all. Looks at nothing else."""
    return any(lot.renewal_months for lot in account.lots.values())


def renew(account: Account, *, at: datetime) -> Account:
    """Let an activity move the expiry of the open lots that follow activity; balances stay.

    Each is then good to the end of the month N months after the activity, or as long as it was, if
    that is longer. So a lot moves once a month at most, and most calls change nothing. A lot past
    its day is left alone: what becomes of it was due before the activity.
    """
    moved = [
        replace(lot, expires_at=until)
        for lot in account.lots.values()
        if (until := renewed_until(lot, at=at)) is not None
    ]
    return account.with_lots(moved) if moved else account


def renewed_since(lot: Lot, *, activities: Sequence[datetime]) -> Lot:
    """A lot as if it had held points at each of these activities, which come in their order.

    So points that come back are good for as long as if they had stayed.
    """
    for at in activities:
        until = renewed_until(lot, at=at)
        lot = lot if until is None else replace(lot, expires_at=until)
    return lot


def day_came_first(lot: Lot, *, activities: Sequence[datetime]) -> bool:
    """Whether the day of a lot that follows activity had come before one of these."""
    until = lot.expires_at
    follows = lot.renewal_months is not None and lot.is_open and until is not None
    return follows and any(until <= at for at in activities if until is not None)


def overdue(account: Account, *, at: datetime) -> bool:
    """Whether a lot that follows activity is past its day, so that this must be settled first."""
    return any(
        lot.renewal_months and lot.is_open and lot.expires_at is not None and lot.expires_at <= at
        for lot in account.lots.values()
    )


def renewed_until(lot: Lot, *, at: datetime) -> datetime | None:
    """Until when an activity makes a lot good; None when it does not change that."""
    if not lot.renewal_months or not lot.is_open or lot.expires_at is None or lot.expires_at <= at:
        return None
    policy = Expiry(policy="activity", months=lot.renewal_months)
    until = expires_at(policy, available_at=at)
    return until if until is not None and until > lot.expires_at else None
