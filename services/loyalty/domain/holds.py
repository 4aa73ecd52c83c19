"""Points held at checkout: reserved, then spent or given back to the lots they came from."""

from collections.abc import Sequence
from dataclasses import replace

from services.loyalty.domain.ledger import Account, Posting, Stamp, post
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.points import InsufficientPoints, in_order_of_use, repay, take


def hold(
    account: Account, *, points: int, cause: Cause, programme_version: int, stamp: Stamp
) -> Account:
    """Reserve points: they leave their lots as if spent, but can come back.

    Raises InsufficientPoints.
    """
    if points > account.balances.available:
        raise InsufficientPoints(available=account.balances.available, asked=points)
    posting = Posting(
        kind="held",
        debit="available",
        credit="held",
        points=points,
        cause=cause,
        programme_version=programme_version,
        occurred_at=stamp.at,
        lots=take(in_order_of_use(account), points),
    )
    return post(account, posting, stamp=stamp)


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
