"""What a refund does to its member's points: spent ones come back, earned ones are taken back.

Together they keep one law: the end depends on how much went back in all, not on how it was split.

An order draws on lots: those that paid for it with points, and those from which its refunds took
what its own lot no longer had. Points come back in the reverse of how they were drawn: first debt
is paid, then lots that stood in get back what was taken from them, then the order's own lot what
it paid of older debt and may keep, which the returned points pay in its stead, then the lots that
paid get theirs, the last to be used first, as if only what is kept had been bought. Earned points
are taken back from the order's own lot (what it may keep comes later, where it paid older debt),
then from points that came back, soonest to lapse first, then from other lots, then as debt. Each
step undoes the other exactly, so only the difference of the two counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.loyalty.domain.holds import give_back
from services.loyalty.domain.ledger import (
    Account,
    Entry,
    LedgerBroken,
    MemberAccount,
    Posting,
    Stamp,
    post,
)
from services.loyalty.domain.lots import Cause, Lot, usage_order
from services.loyalty.domain.points import in_order_of_use, lot_of
from shared.kernel.records import replace


@dataclass(frozen=True, kw_only=True)
class DrawnLot:
    """A lot that an order has drawn on.

    `paid` is what it gave for the points that paid the order; `out` is what the order has of it by
    now: that, less what came back, and with what refunds of the order took. The order's `own` lot
    is drawn on only where its points paid debt: had the order's refunds come before its points were
    released, the points that came back would have paid it.
    """

    lot: Lot
    paid: int
    out: int
    own: bool = False


@dataclass(frozen=True, kw_only=True)
class SpentPoints:
    """The redemption that paid a part of an order, how much of it is back, and the lots behind."""

    redemption_id: str
    points: int
    returned: int
    lots: tuple[DrawnLot, ...]
    #: The member's activities since, the order's own among them; of each month the first.
    activities: tuple[datetime, ...] = ()


def return_spent(
    account: Account,
    *,
    spent: SpentPoints,
    points: int,
    reason: str,
    programme_version: int,
    stamp: Stamp,
    grace: timedelta,
    kept: int,
) -> Account:
    """Give some of an order's spent points back, in the reverse of how they were drawn.

    They are good for `grace` at least. `kept` is what the order's own lot may hold afterwards: more
    would only be taken back again, or has been taken from elsewhere in its stead.
    """
    lots = [_at_most(one, account, kept) if one.own else one for one in spent.lots]
    # What comes back last pays debt first: then what stays is what was drawn last.
    return give_back(
        account,
        used=_coming_back(lots, points)[::-1],
        debit="redeemed",
        cause=Cause(kind="redemption", id=spent.redemption_id, reason=reason),
        programme_version=programme_version,
        stamp=stamp,
        grace=grace,
        activities=spent.activities,
    )


def claw_back(
    account: Account,
    *,
    points: int,
    earned_by: Cause,
    cause: Cause,
    programme_version: int,
    occurred_at: datetime,
    stamp: Stamp,
    drawn: Sequence[DrawnLot] = (),
    kept: int = 0,
) -> Account:
    """Take points back: from the lot that `earned_by` made, then from others, then as debt.

    How a sum is split makes no difference: twice five takes from the same places as once ten.
    `kept` is what remains earned. A lot that paid older debt lets go of it only after points that
    came back: those stand in for the rest of it.
    """
    own = lot_of(account, earned_by)
    waiting = own is not None and own.state == "pending"
    pending = _taken(account, [(own.id, own.remaining)] if own and waiting else [], points)
    left = points - _sum_taken(account, pending)
    sources = _sources(account, None if waiting else own, drawn, kept=kept)
    available = _taken(account, sources, left)
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


def redrawn(
    drawn: Sequence[DrawnLot], account: Account, entries: Sequence[Entry], *, own: Cause
) -> tuple[DrawnLot, ...]:
    """The lots an order has drawn on, after some entries that it caused.

    What was taken back from its own lot is where it belongs; only of a lot that paid older debt is
    it counted, since others may have to stand in for either.
    """
    found = {one.lot.id: one for one in drawn}
    for kind, part in ((one.kind, part) for one in entries for part in one.allocations):
        lot = account.lots[part.lot_id]
        is_own = lot.cause == own
        if not is_own or lot.id in found or kind in ("restored", "repaid"):
            before = found.get(lot.id, DrawnLot(lot=lot, paid=0, out=0, own=is_own))
            found[lot.id] = replace(before, lot=lot, out=before.out - part.points)
    return tuple(found.values())


def _at_most(one: DrawnLot, account: Account, kept: int) -> DrawnLot:
    """The order's own lot, wanting no more than it may still hold."""
    lot = account.lots.get(one.lot.id, one.lot)  # not loaded when nothing is left of it
    return replace(one, out=min(one.out, max(0, kept - lot.remaining)))


def _coming_back(drawn: Sequence[DrawnLot], points: int) -> list[tuple[Lot, int]]:
    """Which lots get points back, in turn: those that stood in, the own lot, those that paid."""
    ordered = sorted(drawn, key=lambda one: (not one.own, usage_order(one.lot)))
    paid = [(one.lot, min(one.out, one.paid)) for one in ordered]
    stood_in = [(one.lot, one.out - one.paid) for one in ordered]
    parts: dict[str, tuple[Lot, int]] = {}
    for lot, most in reversed([*paid, *stood_in]):
        part = min(most, points)
        if part > 0:
            _, before = parts.pop(lot.id, (lot, 0))
            parts[lot.id] = (lot, before + part)
            points -= part
    if points:
        raise LedgerBroken("more points would come back than were drawn")
    return list(parts.values())


def _sources(
    account: Account, own: Lot | None, drawn: Sequence[DrawnLot], *, kept: int
) -> list[tuple[str, int]]:
    """What available points are taken back from, in turn: a lot, and how much of it at most."""
    returned, others = _returned(account, drawn), _others(account)
    if own is None:
        return [*returned, *others]
    spared = kept if any(one.own for one in drawn) else 0
    first = max(0, own.remaining - spared)
    return [(own.id, first), *returned, (own.id, own.remaining), *others]


def _returned(account: Account, drawn: Sequence[DrawnLot]) -> list[tuple[str, int]]:
    """What came back to the lots that paid and is still there."""
    paid = sorted(
        (one for one in drawn if one.paid > one.out), key=lambda one: usage_order(one.lot)
    )
    spendable = {lot.id for lot in account.lots_in("available")}
    return [(one.lot.id, one.paid - one.out) for one in paid if one.lot.id in spendable]


def _others(account: Account) -> list[tuple[str, int]]:
    return [(lot.id, lot.remaining) for lot in in_order_of_use(account)]


def _taken(account: Account, sources: Sequence[tuple[str, int]], points: int) -> tuple[Lot, ...]:
    """Lots after `points` were taken from sources in turn: a lot, and how much at most.

    A lot may be named twice. It may come up short.
    """
    after: dict[str, Lot] = {}
    for lot_id, most in sources:
        lot = after.get(lot_id, account.lots[lot_id])
        part = min(points, most, lot.remaining)
        if part > 0:
            after[lot_id] = lot.taken(part)
            points -= part
    return tuple(after.values())


def _sum_taken(account: Account, lots: Sequence[Lot]) -> int:
    return sum(account.lots[lot.id].remaining - lot.remaining for lot in lots)
