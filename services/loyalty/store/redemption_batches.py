"""Writing redemptions decided in batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.books import BatchStatement
from services.loyalty.store.tables import Redemption
from services.loyalty.store.writing import Rows
from shared.batches import Saving
from shared.lanes import Connection


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
        ("returned_points", "bigint", lambda _: 0),
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
