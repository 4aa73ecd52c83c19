"""Points that members gave one another."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index

from services.loyalty.store.tables.base import Table, amount, moment, words


class Transfer(Table, table=True):
    """Points given by one member (`member_id`) to another."""

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint("points > 0", name="transfer_has_points"),
        CheckConstraint("member_id <> to_member_id", name="transfer_has_two_sides"),
        Index("transfers_by_sender", "member_id", "created_at"),
        Index("transfers_by_recipient", "to_member_id", "created_at"),
    )

    id: str = words(primary_key=True)
    member_id: str = words()
    to_member_id: str = words()
    points: int = amount()
    reason: str | None = words(null=True)
    created_by: str = words()
    created_at: datetime = moment()
