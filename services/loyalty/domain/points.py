"""What can happen to a member's points, as pure decisions on the ledger.

Each function takes the books and gives the books with the postings added, so that several can
follow one another in one transaction: release what is due, then redeem.
"""

from collections.abc import Sequence
from datetime import datetime

from services.loyalty.domain.ledger import (
    Account,
    AccountName,
    EntryKind,
    LedgerBroken,
    Posting,
    Stamp,
    post,
)
from services.loyalty.domain.lots import Allocation, Cause, Lot, usage_order
from shared.kernel.errors import Refusal
from shared.kernel.records import replace


class InsufficientPoints(Refusal):
    """The member has fewer available points than were asked for."""

    code = "insufficient_points"


def earn_pending(
    account: Account,
    *,
    lot_id: str,
    points: int,
    cause: Cause,
    programme_version: int,
    occurred_at: datetime,
    stamp: Stamp,
) -> Account:
    """Credit a new lot whose points wait for an event; nothing when there are none."""
    if points == 0:
        return account
    lot = Lot(
        id=lot_id,
        cause=cause,
        state="pending",
        points=points,
        remaining=points,
        available_at=None,
        expires_at=None,
        programme_version=programme_version,
        created_at=stamp.at,
    )
    posting = Posting(
        kind="earned",
        debit="issued",
        credit="pending",
        points=points,
        cause=cause,
        programme_version=programme_version,
        occurred_at=occurred_at,
        lots=(lot,),
    )
    return post(account, posting, stamp=stamp)


def schedule(
    account: Account, *, cause: Cause, available_at: datetime, expires_at: datetime | None
) -> Account:
    """Say when the pending lot of a cause becomes available and when it will lapse.

    Said once: from then on only an extension moves its end.
    """
    lot = lot_of(account, cause)
    if lot is None or lot.state != "pending" or lot.available_at is not None:
        return account
    return account.with_lots([replace(lot, available_at=available_at, expires_at=expires_at)])


def release_due(account: Account, *, stamp: Stamp) -> Account:
    """Make available what has become due, oldest first; released points repay debt at once."""
    due = [
        lot
        for lot in account.lots_in("pending")
        if lot.available_at is not None and lot.available_at <= stamp.at
    ]
    for lot in sorted(due, key=lambda lot: (lot.available_at, lot.id)):
        released = _release(account, lot, stamp=stamp)
        account = repay(released, lot.id, stamp=stamp, occurred_at=lot.available_at)
    return account


def redeem(
    account: Account, *, points: int, cause: Cause, programme_version: int, stamp: Stamp
) -> Account:
    """Spend points: the soonest to lapse first, then the oldest, those that never lapse last.

    A lot past its day counts until it has been expired in the open: nothing lapses silently.
    Raises InsufficientPoints.
    """
    return use_points(
        account,
        kind="redeemed",
        credit="redeemed",
        points=points,
        cause=cause,
        programme_version=programme_version,
        stamp=stamp,
    )


def use_points(
    account: Account,
    *,
    kind: EntryKind,
    credit: AccountName,
    points: int,
    cause: Cause,
    programme_version: int,
    stamp: Stamp,
) -> Account:
    """Take available points from their lots into another account. Raises InsufficientPoints."""
    if points > account.balances.available:
        raise InsufficientPoints(available=account.balances.available, asked=points)
    posting = Posting(
        kind=kind,
        debit="available",
        credit=credit,
        points=points,
        cause=cause,
        programme_version=programme_version,
        occurred_at=stamp.at,
        lots=take(in_order_of_use(account), points),
    )
    return post(account, posting, stamp=stamp)


def expire(account: Account, *, lot_id: str, cause: Cause, stamp: Stamp) -> Account:
    """Let what remains of an available lot lapse. The caller has seen to the notice before."""
    lot = account.lots[lot_id]
    if lot.state != "available" or not lot.remaining:
        return account
    posting = Posting(
        kind="expired",
        debit="available",
        credit="expired",
        points=lot.remaining,
        cause=cause,
        programme_version=lot.programme_version,
        occurred_at=lot.expires_at or stamp.at,
        lots=(lot.taken(lot.remaining),),
    )
    return post(account, posting, stamp=stamp)


def taken_by(account: Account, *, cause: Cause) -> Sequence[Allocation]:
    """The lots that paid for a cause, among the entries just posted."""
    return [part for entry in account.entries if entry.cause == cause for part in entry.allocations]


def _release(account: Account, lot: Lot, *, stamp: Stamp) -> Account:
    if lot.available_at is None:
        raise LedgerBroken("released before its moment is known")
    posting = Posting(
        kind="released",
        debit="pending",
        credit="available",
        points=lot.remaining,
        cause=lot.cause,
        programme_version=lot.programme_version,
        occurred_at=lot.available_at,
        lots=(replace(lot, state="available"),),
    )
    return post(account, posting, stamp=stamp)


def repay(
    account: Account,
    lot_id: str,
    *,
    stamp: Stamp,
    cause: Cause | None = None,
    occurred_at: datetime | None = None,
) -> Account:
    """Pay debt, as far as there is any, with the points of a lot that just became available.

    `cause` is what made them available, if not what made the lot; it happened at `occurred_at`, or
    now if left out.
    """
    lot = account.lots[lot_id]
    points = min(lot.remaining, account.balances.debt)
    if points == 0:
        return account
    posting = Posting(
        kind="repaid",
        debit="available",
        credit="debt",
        points=points,
        cause=cause or lot.cause,
        programme_version=lot.programme_version,
        occurred_at=occurred_at or stamp.at,
        lots=(lot.taken(points),),
    )
    return post(account, posting, stamp=stamp)


def in_order_of_use(account: Account) -> list[Lot]:
    """The lots that can be spent, in the order in which they are."""
    return sorted(account.lots_in("available"), key=usage_order)


def lot_of(account: Account, cause: Cause) -> Lot | None:
    """The lot that an order or activity made; each makes one at most."""
    same = (lot for lot in account.lots.values() if lot.cause == cause)
    return next(same, None)


def take(lots: Sequence[Lot], points: int, *, short: bool = False) -> tuple[Lot, ...]:
    """The lots that give `points`, in the order given, as they are afterwards.

    Raises LedgerBroken when they do not suffice, unless the taker accepts to come up short.
    """
    taken: list[Lot] = []
    for lot in lots:
        if points == 0:
            break
        part = min(lot.remaining, points)
        taken.append(lot.taken(part))
        points -= part
    if points and not short:
        raise LedgerBroken("the lots hold less than the balance says")
    return tuple(taken)
