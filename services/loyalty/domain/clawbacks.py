"""Clawbacks: points of a refunded order taken back, wherever they are by now."""

from collections.abc import Sequence
from datetime import datetime

from services.loyalty.domain.ledger import Account, MemberAccount, Posting, Stamp, post
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.points import in_order_of_use, lot_of, take


def claw_back(
    account: Account,
    *,
    points: int,
    earned_by: Cause,
    cause: Cause,
    programme_version: int,
    occurred_at: datetime,
    stamp: Stamp,
) -> Account:
    """Take points back: from the lot that `earned_by` made, then other lots, then as debt.

    How a sum is split makes no difference: twice five takes from the same places as once ten.
    """
    own = lot_of(account, earned_by)
    own_lots = [own] if own is not None and own.remaining else []
    others = [lot for lot in in_order_of_use(account) if lot not in own_lots]
    pending = take([lot for lot in own_lots if lot.state == "pending"], points, short=True)
    left = points - _sum_taken(account, pending)
    spendable = [*(lot for lot in own_lots if lot.state == "available"), *others]
    available = take(spendable, left, short=True)
    parts: list[tuple[MemberAccount, tuple[Lot, ...], int]] = [
        ("pending", pending, _sum_taken(account, pending)),
        ("available", available, _sum_taken(account, available)),
        ("debt", (), left - _sum_taken(account, available)),
    ]
    for debit, lots, amount in parts:
        posting = Posting(
            kind="clawed_back",
            debit=debit,
            credit="clawed_back",
            points=amount,
            cause=cause,
            programme_version=programme_version,
            occurred_at=occurred_at,
            lots=lots,
        )
        account = post(account, posting, stamp=stamp) if amount else account
    return account


def _sum_taken(account: Account, lots: Sequence[Lot]) -> int:
    return sum(account.lots[lot.id].remaining - lot.remaining for lot in lots)
