"""The record of members' moves between tiers."""

from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.store.tables import TierChange
from services.loyalty.store.writing import Rows

#: Moves as a batch of hot requests writes them.
TIER_ROWS: Final[Rows[TierChange]] = Rows(
    table="tier_changes",
    columns=[
        ("id", "text", lambda one: one.id),
        ("member_id", "text", lambda one: one.member_id),
        ("from_tier", "text", lambda one: one.from_tier),
        ("to_tier", "text", lambda one: one.to_tier),
        ("growth", "bigint", lambda one: one.growth),
        ("cause_kind", "text", lambda one: one.cause_kind),
        ("cause_id", "text", lambda one: one.cause_id),
        ("reason", "text", lambda one: one.reason),
        ("occurred_at", "timestamptz", lambda one: one.occurred_at),
    ],
)


def add_tier_change(session: AsyncSession, change: TierChange) -> None:
    """Record a move; it is written when the transaction ends."""
    session.add(change)
