"""What all that happens to a known order has in common: loaded, decided, saved, told.

Loading takes the order's own lock first (`hold_order`), then its member's account; the points that
paid the order are read under that one. Saving is two statements, and what was decided is told to
the log in the order in which it happened.
"""

from collections.abc import Mapping, Sequence

from services.loyalty.domain.clawbacks import SpentPoints
from services.loyalty.domain.facts import AlreadyRecordedDifferently
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.order_books import OrderBooks
from services.loyalty.domain.order_decisions import WentBack
from services.loyalty.domain.orders import Order, OrderFacts
from services.loyalty.operations.order_vouchers import return_vouchers
from services.loyalty.operations.owners import lock_owner
from services.loyalty.operations.points import settle
from services.loyalty.operations.tiers import tier_move
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import save_members
from services.loyalty.store.order_changes import OrderChanges, save_orders
from services.loyalty.store.orders import OrderRecord
from services.loyalty.store.refunds import find_spent_points
from services.loyalty.store.tables import TierChange
from services.loyalty.store.tiers import add_tier_change
from shared.batches import NeedsOwnTransaction
from shared.contracts.loyalty import (
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    PointsClawedBack,
    PointsRestored,
)
from shared.db import Occasion, Transaction


async def load_books(
    transaction: Transaction, *, record: OrderRecord, order: Order
) -> tuple[LockedMember, OrderBooks]:
    """Lock the member of an order and read all that decides about it. Three statements at most."""
    order, member = await lock_owner(transaction, order=order)
    books = OrderBooks(
        account=member.account,
        standing=member.standing,
        programme=member.programme,
        order=order,
        spent=await spent_on(transaction, order=order),
        refunds=record.counted,
        member_is_erased=member.state == "erased",
    )
    return member, books


def books_of(
    occasion: Occasion,
    *,
    record: OrderRecord,
    order: Order,
    members: Mapping[str, LockedMember],
) -> tuple[LockedMember, OrderBooks]:
    """The same from what a batch has read, without points that paid a part of the order.

    Raises NeedsOwnTransaction when its member was merged or erased.
    """
    found = members.get(order.member_id)
    if found is None or found.state != "active":
        raise NeedsOwnTransaction
    member = settle(occasion, found)
    books = OrderBooks(
        account=member.account,
        standing=member.standing,
        programme=member.programme,
        order=order,
        refunds=record.counted,
    )
    return member, books


async def spent_on(transaction: Transaction, *, order: Order | OrderFacts) -> SpentPoints | None:
    """The points that paid a part of an order, when it had a reservation."""
    if order.reservation_id is None:
        return None
    return await find_spent_points(
        transaction.session,
        member_id=order.member_id,
        order_id=order.order_id,
        reservation_id=order.reservation_id,
        paid_at=min(order.paid_at, transaction.now) if isinstance(order, OrderFacts) else None,
    )


async def save_books(
    transaction: Transaction,
    *,
    member: LockedMember,
    books: OrderBooks,
    steps: Sequence[WentBack] = (),
    facts: OrderFacts | None = None,
) -> None:
    """Save a member's books and an order as decided, and tell of what went back.

    `facts` are those of an order that is new. Raises AlreadyRecordedDifferently when the id of a
    refund is another order's.
    """
    for step in steps:
        change = note_step(transaction, member=member, step=step)
        if change is not None:
            add_tier_change(transaction.session, change)
    goes = any(step.after.order.is_gone and not step.before.order.is_gone for step in steps)
    # Erasing voids what could still be used: what was used by then stays used.
    if goes and not books.member_is_erased:
        await return_vouchers(transaction, order=books.order)
    after = member.with_account(books.account).with_standing(books.standing)
    await save_members(transaction.session, [settle(transaction, after)])
    refunds = [step.refund for step in steps if step.refund]
    order = books.order
    changes = OrderChanges(
        added=[(order, facts)] if facts else (),
        changed=() if facts else [order],
        refunds=refunds,
        cancellations=[step.cancellation for step in steps if step.cancellation],
        # Of who is erased the books are closed, growth as well as points.
        growth=[order] if order.growth and (facts or steps) and not books.member_is_erased else (),
        spent=[books.spent] if books.spent and steps else (),
    )
    if not await save_orders(transaction.session, changes):
        raise AlreadyRecordedDifferently(id=refunds[0].facts.refund_id)


def note_completed(occasion: Occasion, *, order: Order) -> None:
    """Tell that an order was received."""
    assert order.completed_at is not None
    completed = OrderCompleted(
        order_id=order.order_id, member_id=order.member_id, completed_at=order.completed_at
    )
    occasion.record(completed, subject=order.member_id)


def note_step(occasion: Occasion, *, member: LockedMember, step: WentBack) -> TierChange | None:
    """Tell of one refund or cancellation, and give the move to another tier that is to be written.

    A cancellation of what was kept is a refund as well.
    """
    order, refund, cancellation = step.after.order, step.refund, step.cancellation
    if cancellation is not None:
        cancelled = OrderCancelled(
            order_id=order.order_id,
            member_id=order.member_id,
            cancelled_at=cancellation.facts.cancelled_at,
        )
        occasion.record(cancelled, subject=order.member_id)
        # No storefront can name a refund so: its ids have no slash.
        cause = Cause(kind="cancellation", id=order.order_id)
        refund_id, at = f"cancellation/{order.order_id}", cancellation.facts.cancelled_at
    else:
        assert refund is not None
        cause = Cause(kind="refund", id=refund.facts.refund_id)
        refund_id, at = refund.facts.refund_id, refund.facts.refunded_at
    amount_fen = order.refunded_fen - step.before.order.refunded_fen
    if amount_fen:
        refunded = OrderRefunded(
            order_id=order.order_id,
            refund_id=refund_id,
            member_id=order.member_id,
            amount_fen=amount_fen,
            refunded_total_fen=order.refunded_fen,
            in_full=order.refunded_fen == order.paid_fen,
            refunded_at=at,
        )
        occasion.record(refunded, subject=order.member_id)
    _note_points(occasion, step=step, refund_id=refund_id)
    return tier_move(
        occasion,
        before=member.with_standing(step.before.standing),
        after=member.with_standing(step.after.standing),
        cause_kind=cause.kind,
        cause_id=cause.id,
    )


def _note_points(occasion: Occasion, *, step: WentBack, refund_id: str) -> None:
    taken = step.refund or step.cancellation
    order, spent = step.after.order, step.after.spent
    assert taken is not None
    if spent is not None and taken.returned_points:
        restored = PointsRestored(
            member_id=order.member_id,
            redemption_id=spent.redemption_id,
            points=taken.returned_points,
        )
        occasion.record(restored, subject=order.member_id)
    if taken.clawed_back_points:
        clawed_back = PointsClawedBack(
            member_id=order.member_id,
            order_id=order.order_id,
            refund_id=refund_id,
            points=taken.clawed_back_points,
            debt=taken.debt_points or 0,
        )
        occasion.record(clawed_back, subject=order.member_id)
