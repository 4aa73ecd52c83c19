"""Taking facts in: each counts once, in whatever order and however often they come."""

from collections.abc import Sequence
from datetime import date, datetime

from services.segmentation.domain.facts import PaidOrder, Refund
from services.segmentation.operations.standings import rescore
from services.segmentation.operations.thresholds import thresholds_in_force
from services.segmentation.store import facts as store
from services.segmentation.store.standings import mark_unscored
from shared.contracts.segmentation import MoveCause
from shared.db import Transaction
from shared.kernel.clock import business_day


async def know_members(transaction: Transaction, *, member_ids: Sequence[str], since: date) -> None:
    """Know members as of a day; prospects until they buy. That is no move, so nobody is told."""
    await store.lock_writing(transaction.session)
    await store.record_members(
        transaction.session,
        member_ids=member_ids,
        since=since,
        now=transaction.now,
        today=business_day(transaction.now),
    )


async def forget_person(transaction: Transaction, *, member_id: str, erased_at: datetime) -> None:
    """A person is gone. What they bought still counts, under an id that leads to nobody."""
    await store.lock_writing(transaction.session)
    await store.erase_member(transaction.session, member_id=member_id, erased_at=erased_at)


async def record_order(transaction: Transaction, *, order: PaidOrder) -> None:
    """Count an order in at once: its member is scored anew by the thresholds in force."""
    await store.lock_writing(transaction.session)
    await _score(transaction, member_ids=await _keep(transaction, [order]), cause="order")


async def record_refund(transaction: Transaction, *, refund: Refund) -> None:
    """Count a refund in at once. One that comes before its order waits among the facts for it."""
    await store.lock_writing(transaction.session)
    member_ids = await store.record_refunds(
        transaction.session, refunds=[refund], now=transaction.now
    )
    await _score(transaction, member_ids=member_ids, cause="refund")


async def import_orders(transaction: Transaction, *, orders: Sequence[PaidOrder]) -> None:
    """Keep orders of an imported history. Their members are scored by the next run.

    So a history of years moves each member once, to where it stands today, and not through every
    segment it was in on the way.
    """
    await store.lock_writing(transaction.session)
    member_ids = await _keep(transaction, orders)
    if member_ids:
        await mark_unscored(transaction.session, member_ids=member_ids, now=transaction.now)


async def _keep(transaction: Transaction, orders: Sequence[PaidOrder]) -> list[str]:
    return await store.record_orders(
        transaction.session,
        orders=orders,
        now=transaction.now,
        today=business_day(transaction.now),
    )


async def _score(transaction: Transaction, *, member_ids: Sequence[str], cause: MoveCause) -> None:
    """A fact that was known already brings no member with it, so that a repetition is free."""
    if member_ids:
        by = await thresholds_in_force(transaction)
        await rescore(transaction, member_ids=member_ids, by=by, cause=cause)
