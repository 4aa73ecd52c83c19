"""A member's books and one of their orders, and what happens to both when money goes back."""

from dataclasses import dataclass
from datetime import datetime

from services.loyalty.domain.clawbacks import SpentPoints, claw_back, redrawn, return_spent
from services.loyalty.domain.ledger import Account, Stamp
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.orders import Earning, Order, kept, returned_points
from services.loyalty.domain.programme import Programme, growth_window_start
from services.loyalty.domain.refunds import Refund
from services.loyalty.domain.tiers import Standing, after_refund
from shared.kernel.records import replace


@dataclass(frozen=True, kw_only=True)
class OrderBooks:
    """A member's books, their standing and one of their orders, with all that decides about it."""

    account: Account
    standing: Standing
    #: The rules in force, which say from when on growth counts; the order pins its own.
    programme: Programme
    order: Order
    #: The points that paid a part of the order; None when there are none.
    spent: SpentPoints | None = None
    #: Nothing is left then that could be taken back or given back.
    member_is_erased: bool = False
    #: The order's refunds on record.
    refunds: tuple[Refund, ...] = ()

    @property
    def cause(self) -> Cause:
        """What the order's own entries and lot name as their cause."""
        return Cause(kind="order", id=self.order.order_id)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a refund or cancellation did, in its own numbers."""

    applied_fen: int
    clawed_back_points: int
    debt_points: int
    returned_points: int
    growth: int


def take_back(
    books: OrderBooks, *, order: Order, cause: Cause, at: datetime, stamp: Stamp
) -> tuple[OrderBooks, Taken]:
    """From the order as it was to the order as it is: spent points first come back, then earned
    ones are taken back, so that who has both owes nothing.
    """
    lost = kept(books.order).less(kept(order))
    if books.member_is_erased:
        lost = Earning(points=0, growth=0)
    order = replace(order, clawed_back_points=order.clawed_back_points + lost.points)
    returned = _return(books, order=order, cause=cause, stamp=stamp)
    account = claw_back(
        returned.account,
        points=lost.points,
        earned_by=books.cause,
        cause=cause,
        programme_version=order.programme.version,
        occurred_at=at,
        stamp=stamp,
        drawn=returned.spent.lots if returned.spent else (),
        kept=order.earned_points - order.clawed_back_points,
    )
    after = replace(
        _drawn_on(returned, account, since=returned.account),
        order=order,
        standing=_with_less_growth(books, lost=lost.growth, now=stamp.at),
    )
    return after, Taken(
        applied_fen=order.refunded_fen - books.order.refunded_fen,
        clawed_back_points=lost.points,
        debt_points=_debited(account, since=returned.account),
        returned_points=_back(after.spent) - _back(books.spent),
        growth=lost.growth,
    )


def _return(books: OrderBooks, *, order: Order, cause: Cause, stamp: Stamp) -> OrderBooks:
    spent = books.spent
    if spent is None or books.member_is_erased:
        return books
    points = returned_points(order, spent=spent.points) - spent.returned
    if points <= 0:
        return books
    account = return_spent(
        books.account,
        spent=spent,
        points=points,
        reason=f"{cause.kind}:{cause.id}",
        programme_version=order.programme.version,
        stamp=stamp,
        grace=order.programme.points.restore_grace,
        kept=order.earned_points - order.clawed_back_points,
    )
    counted = replace(spent, returned=spent.returned + points)
    return _drawn_on(replace(books, spent=counted), account, since=books.account)


def _drawn_on(books: OrderBooks, account: Account, *, since: Account) -> OrderBooks:
    """The books with other accounts, the order's lots drawn on as the entries since then say."""
    spent = books.spent
    if spent is not None:
        entries = account.entries[len(since.entries) :]
        lots = redrawn(spent.lots, account, entries, own=books.cause)
        spent = replace(spent, lots=lots)
    return replace(books, account=account, spent=spent)


def _debited(account: Account, *, since: Account) -> int:
    """How much of what was clawed back is owed now."""
    entries = account.entries[len(since.entries) :]
    return sum(entry.points for entry in entries if entry.debit_account == "debt")


def _back(spent: SpentPoints | None) -> int:
    return spent.returned if spent else 0


def _with_less_growth(books: OrderBooks, *, lost: int, now: datetime) -> Standing:
    start = growth_window_start(books.programme, now=now)
    if start is not None and books.order.paid_at < start:
        return books.standing
    growth = books.standing.growth - lost
    return after_refund(books.standing, growth=growth, programme=books.programme, now=now)
