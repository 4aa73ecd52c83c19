"""Decisions on one order: it is paid, received, refunded, cancelled.

Pure: all facts come in, the new state goes out, and whoever asked saves it and tells of it. An
order is always decided on before what waited for it, so what was reported first makes no
difference.
"""

from dataclasses import dataclass
from datetime import datetime

from services.loyalty.domain.clawbacks import SpentPoints
from services.loyalty.domain.ledger import Account, Stamp
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.order_books import OrderBooks, take_back
from services.loyalty.domain.order_cancellations import Cancellation
from services.loyalty.domain.orders import Order, OrderFacts, earning_under
from services.loyalty.domain.points import earn_pending, schedule
from services.loyalty.domain.programme import Programme, growth_window_start
from services.loyalty.domain.refunds import (
    Refund,
    RefundExceedsPayment,
    items_match,
    refuse_items,
)
from services.loyalty.domain.tiers import Standing, after_growth
from shared.kernel.records import replace


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What was reported of an order before the order itself."""

    refunds: tuple[Refund, ...] = ()
    cancellation: Cancellation | None = None
    completed_at: datetime | None = None

    @property
    def takes_back(self) -> bool:
        """Whether something of the order went back before it was known."""
        return bool(self.refunds) or self.cancellation is not None


@dataclass(frozen=True, kw_only=True)
class WentBack:
    """What one refund or cancellation did; `refund` or `cancellation` is it, as it now stands."""

    before: OrderBooks
    after: OrderBooks
    refund: Refund | None = None
    cancellation: Cancellation | None = None


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """An order just recorded: the books after it earned, and what went back of it at once."""

    earned: OrderBooks
    went_back: tuple[WentBack, ...]
    books: OrderBooks


def record(
    account: Account,
    *,
    standing: Standing,
    programme: Programme,
    facts: OrderFacts,
    waiting: Waiting,
    spent: SpentPoints | None,
    lot_id: str,
    stamp: Stamp,
) -> Recorded:
    """Record a paid order: points pending, growth and tier at once, then all that waited for it.

    The order earns under the rules in force, with the multiplier of the tier before it.
    """
    order = _new_order(facts, standing=standing, programme=programme, waiting=waiting, stamp=stamp)
    before = OrderBooks(
        account=account, standing=standing, programme=programme, order=order, spent=spent
    )
    earned = _earn(before, lot_id=lot_id, stamp=stamp)
    books, went_back = settle_waiting(earned, waiting=waiting, stamp=stamp)
    order = replace(
        books.order,
        tier_at_recording=books.standing.tier_code,
        refunded_at_recording_fen=books.order.refunded_fen,
    )
    return Recorded(earned=earned, went_back=went_back, books=replace(books, order=order))


def settle_waiting(
    books: OrderBooks, *, waiting: Waiting, stamp: Stamp
) -> tuple[OrderBooks, tuple[WentBack, ...]]:
    """Let what was reported before the order count, refunds as the money went back."""
    if waiting.completed_at is not None:
        books = complete(books, completed_at=waiting.completed_at)
    steps = []
    for refund in waiting.refunds:
        steps.append(apply_refund(books, refund=refund, stamp=stamp))
        books = steps[-1].after
    if waiting.cancellation is not None:
        steps.append(cancel(books, cancellation=waiting.cancellation, stamp=stamp))
        books = steps[-1].after
    return books, tuple(steps)


def complete(books: OrderBooks, *, completed_at: datetime) -> OrderBooks:
    """The order was received: its points, as far as any are kept, become available in time."""
    order = replace(books.order, completed_at=completed_at)
    return _scheduled(replace(books, order=order))


def decide_refund(books: OrderBooks, *, refund: Refund, stamp: Stamp) -> WentBack:
    """Let a refund of a known order count. Raises RefundExceedsPayment, RefundItemUnknown and
    RefundItemExceeded; nothing of them once the order is cancelled, for all has gone back then.
    """
    order = books.order
    if order.cancelled_at is None:
        if refund.facts.amount_fen > order.refundable_fen:
            raise RefundExceedsPayment(refundable_fen=order.refundable_fen)
        refuse_items(order, facts=refund.facts, refunds=books.refunds)
    return apply_refund(books, refund=refund, stamp=stamp)


def apply_refund(books: OrderBooks, *, refund: Refund, stamp: Stamp) -> WentBack:
    """Let a refund count that cannot be refused, since it came before its order.

    It is capped at what is left: the money has gone back already, so refusing would help nobody.
    """
    facts = refund.facts
    amount_fen = min(facts.amount_fen, books.order.refundable_fen)
    order = replace(books.order, refunded_fen=books.order.refunded_fen + amount_fen)
    after, taken = take_back(
        books,
        order=order,
        cause=Cause(kind="refund", id=facts.refund_id),
        at=facts.refunded_at,
        stamp=stamp,
    )
    applied = replace(
        refund,
        member_id=order.member_id,
        applied_at=stamp.at,
        refunded_total_fen=order.refunded_fen,
        items_match=items_match(books.order, facts=facts, refunds=books.refunds),
        **vars(taken),
    )
    after = replace(after, refunds=(*books.refunds, applied))
    return WentBack(before=books, after=after, refund=applied)


def cancel(books: OrderBooks, *, cancellation: Cancellation, stamp: Stamp) -> WentBack:
    """Call an order off: what has not gone back yet goes back, and nothing of it is kept."""
    facts, paid_fen = cancellation.facts, books.order.paid_fen
    order = replace(books.order, refunded_fen=paid_fen, cancelled_at=facts.cancelled_at)
    after, taken = take_back(
        books,
        order=order,
        cause=Cause(kind="cancellation", id=order.order_id),
        at=facts.cancelled_at,
        stamp=stamp,
    )
    applied = replace(cancellation, member_id=order.member_id, applied_at=stamp.at, **vars(taken))
    return WentBack(before=books, after=after, cancellation=applied)


def _earn(books: OrderBooks, *, lot_id: str, stamp: Stamp) -> OrderBooks:
    order, programme = books.order, books.programme
    account = earn_pending(
        books.account,
        lot_id=lot_id,
        points=order.earned_points,
        cause=books.cause,
        programme_version=order.programme.version,
        occurred_at=order.paid_at,
        stamp=stamp,
    )
    start = growth_window_start(programme, now=stamp.at)
    counts = start is None or order.paid_at >= start
    standing = after_growth(
        books.standing,
        growth=books.standing.growth + (order.growth if counts else 0),
        programme=programme,
        now=stamp.at,
    )
    return _scheduled(replace(books, account=account, standing=standing))


def _scheduled(books: OrderBooks) -> OrderBooks:
    available_at = books.order.available_at
    if available_at is None:
        return books
    account = schedule(
        books.account,
        cause=books.cause,
        available_at=available_at,
        expires_at=books.order.expires_at,
    )
    return replace(books, account=account)


def _new_order(
    facts: OrderFacts, *, standing: Standing, programme: Programme, waiting: Waiting, stamp: Stamp
) -> Order:
    multiplier_percent = programme.tier(standing.tier_code).multiplier_percent
    earned = earning_under(
        programme,
        multiplier_percent=multiplier_percent,
        paid_fen=facts.paid_fen,
        discount_fen=facts.discount_fen,
        kept_fen=facts.paid_fen,
    )
    return Order(
        order_id=facts.order_id,
        member_id=facts.member_id,
        paid_fen=facts.paid_fen,
        discount_fen=facts.discount_fen,
        refunded_fen=0,
        facts_hash=facts.hash(),
        programme=programme,
        multiplier_percent=multiplier_percent,
        earned_points=earned.points,
        clawed_back_points=0,
        growth=earned.growth,
        tier_at_recording=None,
        refunded_at_recording_fen=0,
        import_id=None,
        paid_at=facts.paid_at,
        completed_at=None,
        recorded_at=stamp.at,
        came_completed=waiting.completed_at is not None,
        came_cancelled=waiting.cancellation is not None,
        items=facts.items,
        reservation_id=facts.reservation_id,
    )
