"""Adjustments of points by operators."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.store.tables import Adjustment


def add_adjustment(session: AsyncSession, adjustment: Adjustment) -> None:
    """Record an adjustment; it is written when the transaction ends."""
    session.add(adjustment)


async def find_adjustment(session: AsyncSession, *, adjustment_id: str) -> Adjustment | None:
    """The adjustment of an id as it is by now, if there is one."""
    found = await session.exec(
        select(Adjustment)
        .where(col(Adjustment.id) == adjustment_id)
        .execution_options(populate_existing=True)
    )
    return found.one_or_none()


async def list_adjustments(
    session: AsyncSession,
    *,
    state: str | None,
    member_id: str | None,
    before: str | None,
    limit: int,
) -> Sequence[Adjustment]:
    """Adjustments, newest first, those older than `before`."""
    wanted = select(Adjustment).order_by(col(Adjustment.id).desc()).limit(limit)
    if state is not None:
        wanted = wanted.where(col(Adjustment.state) == state)
    if member_id is not None:
        wanted = wanted.where(col(Adjustment.member_id) == member_id)
    if before is not None:
        wanted = wanted.where(col(Adjustment.id) < before)
    return (await session.exec(wanted)).all()


async def adjusted_alone(
    session: AsyncSession, *, member_id: str, requested_by: str, since: datetime, until: datetime
) -> int:
    """What an operator gave and took without a second person, both counted up, in points."""
    found = await session.exec(
        select(func.coalesce(func.sum(func.abs(Adjustment.points)), 0)).where(
            col(Adjustment.member_id) == member_id,
            col(Adjustment.requested_by) == requested_by,
            col(Adjustment.state) == "applied",
            col(Adjustment.decided_by).is_(None),
            col(Adjustment.created_at) >= since,
            col(Adjustment.created_at) < until,
        )
    )
    return int(found.one())
