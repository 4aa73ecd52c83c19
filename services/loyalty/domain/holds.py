"""Points held at checkout: reserved, then spent or given back to the lots they came from."""

from collections.abc import Sequence
from dataclasses import replace

from services.loyalty.domain.ledger import Account, Posting, Stamp, post
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.points import repay, use_points


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
    held: Sequence[tuple[Lot, int]],
    cause: Cause,
    programme_version: int,
    stamp: Stamp,
) -> Account:
    """Return held points to the lots they came from, with their expiry; then repay debt.

    `held` are those lots as they are stored, and how many points each gave.
    """
    account = replace(account, lots={**{lot.id: lot for lot, _ in held}, **account.lots})
    posting = Posting(
        kind="restored",
        debit="held",
        credit="available",
        points=sum(points for _, points in held),
        cause=cause,
        programme_version=programme_version,
        occurred_at=stamp.at,
        lots=tuple(account.lots[lot.id].given(points) for lot, points in held),
    )
    account = post(account, posting, stamp=stamp)
    for lot, _ in held:
        account = repay(account, lot.id, stamp=stamp)
    return account
