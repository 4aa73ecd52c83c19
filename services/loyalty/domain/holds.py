"""Points that are held: reserved, then spent or given back to the lots they came from."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from services.loyalty.domain.activity import renewed_since
from services.loyalty.domain.expiries import day_end
from services.loyalty.domain.ledger import Account, LedgerBroken, Posting, Stamp, post
from services.loyalty.domain.lots import Cause, Lot, usage_order
from services.loyalty.domain.points import repay, use_points
from shared.kernel.records import replace

#: Where used points are: reserved, or spent.
UsedPoints = Literal["held", "redeemed"]


def hold(
    account: Account, *, points: int, cause: Cause, programme_version: int, stamp: Stamp
) -> Account:
    """Reserve points: they leave their lots as if spent, but can come back.

    Raises InsufficientPoints.
    """
    return use_points(
        account,
        kind="held",
        credit="held",
        points=points,
        cause=cause,
        programme_version=programme_version,
        stamp=stamp,
    )


def capture(
    account: Account, *, points: int, cause: Cause, programme_version: int, stamp: Stamp
) -> Account:
    """Spend points that were held."""
    posting = Posting(
        kind="captured",
        debit="held",
        credit="redeemed",
        points=points,
        cause=cause,
        programme_version=programme_version,
        occurred_at=stamp.at,
        lots=(),
    )
    return post(account, posting, stamp=stamp)


def give_back(
    account: Account,
    *,
    used: Sequence[tuple[Lot, int]],
    debit: UsedPoints,
    cause: Cause,
    programme_version: int,
    stamp: Stamp,
    grace: timedelta = timedelta(),
    activities: Sequence[datetime] = (),
    occurred_at: datetime | None = None,
) -> Account:
    """Return used points to the lots they came from, with their expiry; then repay debt.

    `used` are those lots as they are stored, and how many points each gets back; `debit` is where
    the points are: `held`, or `redeemed` when they were spent. A lot that would lapse sooner than
    `grace` from now is good until then. `activities` of the member since the points were used
    renew the lots that follow activity, as if they had stayed. `occurred_at` is when it was due,
    now if left out.
    """
    account = replace(account, lots={**{lot.id: lot for lot, _ in used}, **account.lots})
    posting = Posting(
        kind="restored",
        debit=debit,
        credit="available",
        points=sum(points for _, points in used),
        cause=cause,
        programme_version=programme_version,
        occurred_at=occurred_at or stamp.at,
        lots=tuple(
            _lasting(
                renewed_since(account.lots[lot.id].given(points), activities=activities),
                stamp=stamp,
                grace=grace,
            )
            for lot, points in used
        ),
    )
    account = post(account, posting, stamp=stamp)
    for lot, _ in used:
        account = repay(account, lot.id, stamp=stamp, cause=cause)
    return account


def last_used(used: Sequence[tuple[Lot, int]], *, points: int) -> list[tuple[Lot, int]]:
    """Of the lots that paid, those that get `points` back: the last to be used are the first.

    So spending a part of what was held leaves the lots as if only that part had been spent.
    """
    returned: list[tuple[Lot, int]] = []
    for lot, paid in sorted(used, key=lambda one: usage_order(one[0]), reverse=True):
        part = min(paid, points)
        if part:
            returned.append((lot, part))
        points -= part
    if points:
        raise LedgerBroken("more points come back than the lots have paid")
    return returned


def _lasting(lot: Lot, *, stamp: Stamp, grace: timedelta) -> Lot:
    """The lot, good for `grace` at least, to the end of that business day; without grace its
    expiry stays, even if it is past.
    """
    earliest = day_end(stamp.at + grace)
    if not grace or lot.expires_at is None or lot.expires_at >= earliest:
        return lot
    return replace(lot, expires_at=earliest)
