"""Vouchers and the orders they are used on."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.store.tables import Member, Order, Reward, Voucher, VoucherTemplate


async def go_together(session: AsyncSession, *, voucher_id: str, order_id: str) -> bool:
    """Whether a voucher may be used on an order beside those that were used on it before."""
    used = (col(Voucher.order_id) == order_id) & (col(Voucher.state) == "redeemed")
    found = await session.exec(
        select(func.count(), func.bool_and(col(VoucherTemplate.stackable)))
        .select_from(Voucher)
        .join(VoucherTemplate, col(VoucherTemplate.id) == col(Voucher.template_id))
        .where(used | (col(Voucher.id) == voucher_id))
    )
    count, stackable = found.one()
    return count == 1 or bool(stackable)


async def vouchers_used_on(
    session: AsyncSession, *, member_id: str, order_id: str, now: datetime
) -> Sequence[Voucher]:
    """Vouchers used on an order that could be used again, locked in order of their ids.

    Those of rewards that were taken back are not among them, which is asked when they are locked:
    a statement that has waited for their locks would still see the rewards as they were before.
    """
    await session.flush()  # this very transaction may have used them
    found = await session.exec(
        select(Voucher)
        .where(
            col(Voucher.member_id) == member_id,
            col(Voucher.order_id) == order_id,
            col(Voucher.state) == "redeemed",
            col(Voucher.expires_at) > now,
        )
        .order_by(col(Voucher.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    used = found.all()
    taken_back = await session.exec(
        select(Reward.voucher_id).where(
            col(Reward.voucher_id).in_([one.id for one in used]), col(Reward.state) == "reversed"
        )
    )
    gone = set(taken_back.all())
    return [one for one in used if one.id not in gone]


async def has_ordered(session: AsyncSession, *, member_id: str, besides: str | None = None) -> bool:
    """Whether the member has an order, besides one, of which something was kept.

    Who was erased before is taken to have had one: nobody is a new customer twice. So is whoever
    holds or has used a voucher for new customers, whose order may yet be reported.
    """
    kept = select(Order.order_id).where(
        col(Order.member_id) == member_id,
        col(Order.order_id).is_distinct_from(besides),
        col(Order.state).in_(("paid", "completed")),
    )
    on_another = (col(Voucher.state) == "held") | (
        (col(Voucher.state) == "redeemed") & col(Voucher.order_id).is_distinct_from(besides)
    )
    spent = select(Voucher.id).where(
        col(Voucher.member_id) == member_id, col(Voucher.kind) == "new_customer", on_another
    )
    found = await session.exec(
        select(Member.id).where(
            col(Member.id) == member_id,
            or_(col(Member.previously_erased), kept.exists(), spent.exists()),
        )
    )
    return found.first() is not None
