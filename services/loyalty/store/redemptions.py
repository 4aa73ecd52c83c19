"""Redemptions: points spent, and for what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import BatchStatement
from services.loyalty.store.tables import Redemption
from services.loyalty.store.writing import Rows
from shared.batches import Saving
from shared.lanes import Connection
from shared.sql import execute


@dataclass(frozen=True, kw_only=True, slots=True)
class NewRedemption:
    """Points spent at once, as they are written: no row to be tracked, since none is changed."""

    id: str
    member_id: str
    points: int
    purpose: str
    reference: str
    created_at: datetime

    def row(self) -> Redemption:
        """For a session to write."""
        return Redemption(
            id=self.id,
            member_id=self.member_id,
            state="redeemed",
            points=self.points,
            purpose=self.purpose,
            reference=self.reference,
            created_at=self.created_at,
            closed_at=self.created_at,
        )


_ROWS: Final[Rows[NewRedemption]] = Rows(
    table="redemptions",
    columns=[
        ("id", "text", lambda one: one.id),
        ("member_id", "text", lambda one: one.member_id),
        ("state", "text", lambda _: "redeemed"),
        ("points", "bigint", lambda one: one.points),
        ("purpose", "text", lambda one: one.purpose),
        ("reference", "text", lambda one: one.reference),
        ("created_at", "timestamptz", lambda one: one.created_at),
        ("closed_at", "timestamptz", lambda one: one.created_at),
    ],
)
_SAVE: Final = BatchStatement(_ROWS)


async def save_redemptions(
    connection: Connection,
    *,
    members: Sequence[LockedMember],
    redemptions: Sequence[NewRedemption],
    saving: Saving,
) -> None:
    """Write a batch of redemptions with all that belongs to them. Raises Stale."""
    await _SAVE.run(connection, members, [redemptions], saving=saving)


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
