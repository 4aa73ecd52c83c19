"""Refunds: what goes back of an order takes points and growth with it, in any split and order."""

from dataclasses import dataclass, replace

from services.loyalty.domain.clawbacks import claw_back
from services.loyalty.domain.facts import AlreadyRecordedDifferently
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.orders import (
    Earning,
    Order,
    OrderState,
    Refund,
    RefundExceedsPayment,
    RefundFacts,
    clawback,
    earning,
)
from services.loyalty.domain.programme import growth_window_start
from services.loyalty.domain.tiers import after_refund
from services.loyalty.operations.owners import lock_owner
from services.loyalty.operations.points import stamp_of
from services.loyalty.operations.tiers import note_tier
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import save_members
from services.loyalty.store.orders import find_order, hold_order, save_growth, save_refunded
from services.loyalty.store.refunds import find_refund, save_refund
from shared.contracts.loyalty import OrderRefunded, PointsClawedBack
from shared.db import Transaction


@dataclass(frozen=True, kw_only=True)
class RecordedRefund:
    """A refund as it stands on record, and whether this report of it was the first."""

    refund: Refund
    order: Order | None
    repeated: bool


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A member's books, an order and a refund after the refund counted."""

    member: LockedMember
    order: Order
    refund: Refund


async def record_refund(transaction: Transaction, *, facts: RefundFacts) -> RecordedRefund:
    """Record a refund and take back what it earned; before its order is known it waits for it.

    The same refund again answers with what is on record. Raises AlreadyRecordedDifferently and
    RefundExceedsPayment. Nine statements, four when it waits for its order; the door adds five
    round trips (begin, key, reply, events, commit).
    """
    session = transaction.session
    await hold_order(session, order_id=facts.order_id)
    order = await find_order(session, order_id=facts.order_id)
    known = await find_refund(session, refund_id=facts.refund_id)
    if known is not None:
        if known.facts_hash != facts.hash():
            raise AlreadyRecordedDifferently(id=facts.refund_id)
        return RecordedRefund(refund=known, order=order, repeated=True)
    refund = Refund(
        facts=facts, facts_hash=facts.hash(), member_id=None, recorded_at=transaction.now
    )
    if order is None:
        await _save(transaction, refund, applied=False)
        return RecordedRefund(refund=refund, order=None, repeated=False)
    if facts.amount_fen > order.refundable_fen:
        raise RefundExceedsPayment(refundable_fen=order.refundable_fen)
    order, member = await lock_owner(transaction, order=order)
    applied = apply_refund(transaction, member=member, order=order, refund=refund)
    await save_members(session, [applied.member])
    await _save(transaction, applied.refund, applied=True)
    await save_refunded(session, order=applied.order)
    if applied.refund.growth:
        kept = applied.order.refundable_fen
        await save_growth(session, order=applied.order, growth=earning(order, kept_fen=kept).growth)
    return RecordedRefund(refund=applied.refund, order=applied.order, repeated=False)


def apply_refund(
    transaction: Transaction, *, member: LockedMember, order: Order, refund: Refund
) -> Applied:
    """Let a refund count, in memory; the caller saves the member, the order and the refund.

    One that waited for its order is capped at what is left of the order: the money has gone back
    already, so refusing it would help nobody.
    """
    amount_fen = min(refund.facts.amount_fen, order.refundable_fen)
    taken = clawback(order, amount_fen=amount_fen)
    if member.state == "erased":
        taken = Earning(points=0, growth=0)  # nothing is left that could be taken back
    cause = Cause(kind="refund", id=refund.facts.refund_id)
    account = claw_back(
        member.account,
        points=taken.points,
        earned_by=Cause(kind="order", id=order.order_id),
        cause=cause,
        programme_version=order.programme.version,
        occurred_at=refund.facts.refunded_at,
        stamp=stamp_of(transaction),
    )
    after = _with_less_growth(
        transaction, member.with_account(account), order=order, lost=taken.growth
    )
    total_fen = order.refunded_fen + amount_fen
    applied = replace(
        refund,
        member_id=order.member_id,
        applied_fen=amount_fen,
        refunded_total_fen=total_fen,
        clawed_back_points=taken.points,
        debt_points=account.balances.debt - member.account.balances.debt,
        growth=taken.growth,
    )
    _note(transaction, order=order, refund=applied)
    note_tier(transaction, before=member, after=after, cause_kind=cause.kind, cause_id=cause.id)
    state: OrderState = "refunded" if total_fen == order.paid_fen else order.state
    refunded = replace(
        order,
        refunded_fen=total_fen,
        state=state,
        clawed_back_points=order.clawed_back_points + taken.points,
    )
    return Applied(member=after, order=refunded, refund=applied)


def _with_less_growth(
    transaction: Transaction, member: LockedMember, *, order: Order, lost: int
) -> LockedMember:
    start = growth_window_start(member.programme, now=transaction.now)
    if start is not None and order.paid_at < start:
        return member
    return member.with_standing(
        after_refund(
            member.standing,
            growth=member.standing.growth - lost,
            programme=member.programme,
            now=transaction.now,
        )
    )


async def _save(transaction: Transaction, refund: Refund, *, applied: bool) -> None:
    saved = await save_refund(
        transaction.session, refund=refund, applied_at=transaction.now if applied else None
    )
    if not saved:
        raise AlreadyRecordedDifferently(id=refund.facts.refund_id)


def _note(transaction: Transaction, *, order: Order, refund: Refund) -> None:
    if not refund.applied_fen:
        return
    total_fen = refund.refunded_total_fen or 0
    transaction.record(
        OrderRefunded(
            order_id=order.order_id,
            refund_id=refund.facts.refund_id,
            member_id=order.member_id,
            amount_fen=refund.applied_fen,
            refunded_total_fen=total_fen,
            in_full=total_fen == order.paid_fen,
            refunded_at=refund.facts.refunded_at,
        ),
        subject=order.member_id,
    )
    if refund.clawed_back_points:
        transaction.record(
            PointsClawedBack(
                member_id=order.member_id,
                order_id=order.order_id,
                refund_id=refund.facts.refund_id,
                points=refund.clawed_back_points,
                debt=refund.debt_points or 0,
            ),
            subject=order.member_id,
        )
