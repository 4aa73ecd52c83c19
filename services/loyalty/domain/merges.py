"""Merging two members who are one person, and taking that back: why not, and what moves of points.

Points are handed over lot by lot through the programme's account `transferred`: what one member
gives the other gets, so nothing is made or lost. A lot keeps its id, cause, state and moments, so
that a later completion, refund or cancellation finds it where it now is.
"""

from collections.abc import Sequence
from typing import Final

from services.loyalty.domain.ledger import Account, AccountName, Posting, Stamp, post
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.points import in_order_of_use, take
from shared.kernel.errors import Refusal
from shared.kernel.records import replace

#: A member with more orders is not merged into another: taking it back locks each of them.
ORDERS_MAX: Final = 2_000


class MergeWithItself(Refusal):
    """The two members to be merged are one already."""

    code = "merge_with_itself"


class MergeTooLarge(Refusal):
    """The source has more orders than one transaction moves."""

    code = "merge_too_large"


class MergeHoldsConflict(Refusal):
    """Both hold points for the same purpose and reference, which one member can only do once."""

    code = "merge_holds_conflict"


class MergeReversed(Refusal):
    """The merge was taken back before; that counts once."""

    code = "merge_reversed"


class MergeNotLast(Refusal):
    """Another member was merged into the same one later; that merge has to be taken back first."""

    code = "merge_not_last"


class MergeFinal(Refusal):
    """The one who went on was merged into another or erased, so there is nothing to give back."""

    code = "merge_final"


def hand_over(
    giver: Account,
    taker: Account,
    *,
    lots: Sequence[Lot],
    held: int,
    debt: int,
    cause: Cause,
    programme_version: int,
    stamp: Stamp,
) -> tuple[Account, Account]:
    """Move lots of the giver, held points and debt to the taker; the books of both, in order."""

    def moved(
        account: Account, debit: AccountName, credit: AccountName, points: int, lots: Sequence[Lot]
    ) -> Account:
        posting = Posting(
            kind="merged",
            debit=debit,
            credit=credit,
            points=points,
            cause=cause,
            programme_version=programme_version,
            occurred_at=stamp.at,
            lots=tuple(lots),
        )
        return post(account, posting, stamp=stamp) if points else account

    for state in ("available", "pending"):
        given = [lot for lot in lots if lot.state == state and lot.remaining]
        points = sum(lot.remaining for lot in given)
        emptied = [lot.taken(lot.remaining) for lot in given]
        giver = moved(giver, state, "transferred", points, emptied)
        joined = [_joined(lot, taker.lots.get(lot.id)) for lot in given]
        taker = moved(taker, "transferred", state, points, joined)
    giver = moved(giver, "held", "transferred", held, ())
    taker = moved(taker, "transferred", "held", held, ())
    giver = moved(giver, "transferred", "debt", debt, ())
    taker = moved(taker, "debt", "transferred", debt, ())
    return giver, taker


def _joined(given: Lot, known: Lot | None) -> Lot:
    """The lot as the taker has it then.

    Part of it may be there already: given back by a checkout that ended after an earlier merge was
    taken back. It then lapses when the later of the two would.
    """
    if known is None or not known.remaining:
        return given
    moments = (given.expires_at, known.expires_at)
    return replace(
        given,
        remaining=given.remaining + known.remaining,
        expires_at=None if None in moments else max(at for at in moments if at is not None),
    )


def repay_debt(account: Account, *, cause: Cause, programme_version: int, stamp: Stamp) -> Account:
    """Pay debt with what is available, in order of use: nobody owes while they could spend."""
    points = min(account.balances.available, account.balances.debt)
    if points == 0:
        return account
    posting = Posting(
        kind="repaid",
        debit="available",
        credit="debt",
        points=points,
        cause=cause,
        programme_version=programme_version,
        occurred_at=stamp.at,
        lots=take(in_order_of_use(account), points),
    )
    return post(account, posting, stamp=stamp)


def undo_repayment(
    account: Account,
    *,
    paid: Sequence[tuple[Lot, int]],
    cause: Cause,
    programme_version: int,
    stamp: Stamp,
) -> Account:
    """Owe again what a merge repaid, and give it back to the lots that paid.

    `paid` are those lots as they are stored, and what each had given.
    """
    points = sum(part for _, part in paid)
    if points == 0:
        return account
    account = replace(account, lots={**{lot.id: lot for lot, _ in paid}, **account.lots})
    posting = Posting(
        kind="merged",
        debit="debt",
        credit="available",
        points=points,
        cause=cause,
        programme_version=programme_version,
        occurred_at=stamp.at,
        lots=tuple(account.lots[lot.id].given(part) for lot, part in paid),
    )
    return post(account, posting, stamp=stamp)


def debt_that_goes_back(*, present: int, brought: int, caused_since: int) -> int:
    """How much of the debt is the source's: what it brought and what refunds of its orders made
    since, as far as it has not been repaid.
    """
    return min(present, brought + caused_since)
