"""The record of members' moves between tiers."""

from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.store.tables import TierChange


def add_tier_change(session: AsyncSession, change: TierChange) -> None:
    """Record a move; it is written when the transaction ends."""
    session.add(change)
