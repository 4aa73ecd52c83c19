"""Transfers of points between members."""

from datetime import datetime

from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.transfers import SentToday
from services.loyalty.store.tables import Member, Transfer


def add_transfer(session: AsyncSession, transfer: Transfer) -> None:
    """Record a transfer; it is written when the transaction ends."""
    session.add(transfer)


async def find_transfer(session: AsyncSession, *, transfer_id: str) -> Transfer | None:
    """The transfer of an id, if there is one."""
    return await session.get(Transfer, transfer_id)


async def sent_between(
    session: AsyncSession, *, member_id: str, since: datetime, until: datetime
) -> SentToday:
    """What a member has sent from a moment on until just before another.

    With what those sent who live on in this member by a merge.
    """
    merged = select(Member.id).where(col(Member.merged_into) == member_id)
    found = await session.exec(
        select(func.coalesce(func.sum(Transfer.points), 0), func.count()).where(
            or_(col(Transfer.member_id) == member_id, col(Transfer.member_id).in_(merged)),
            col(Transfer.created_at) >= since,
            col(Transfer.created_at) < until,
        )
    )
    points, count = found.one()
    return SentToday(points=int(points), count=count)
