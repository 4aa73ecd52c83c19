"""Redemptions: points spent, and for what."""

from datetime import datetime

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.store.tables import Redemption
from shared.sql import execute


def add_redemption(session: AsyncSession, redemption: Redemption) -> None:
    """Record a redemption; it is written when the transaction ends."""
    session.add(redemption)


async def find_redemption(session: AsyncSession, *, redemption_id: str) -> Redemption | None:
    """The redemption of an id, if there is one."""
    found = await session.exec(select(Redemption).where(Redemption.id == redemption_id))
    return found.one_or_none()


async def close_redemption(
    session: AsyncSession, *, redemption_id: str, state: str, at: datetime
) -> None:
    """End a hold: `redeemed` or `released`."""
    await execute(
        session,
        update(Redemption)
        .where(col(Redemption.id) == redemption_id)
        .values(state=state, closed_at=at),
    )
