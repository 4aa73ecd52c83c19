"""Points that operators gave and took."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index

from services.loyalty.store.tables.base import Table, amount, moment, words


class Adjustment(Table, table=True):
    """Points given to a member, or taken (negative), at an operator's word.

    One that its requester could do alone has no `decided_by`.
    """

    __tablename__ = "adjustments"
    __table_args__ = (
        CheckConstraint("points <> 0", name="adjustment_has_points"),
        CheckConstraint(
            "state in ('applied', 'awaiting_approval', 'rejected')", name="adjustment_state"
        ),
        CheckConstraint("decided_by <> requested_by", name="adjustment_second_person"),
        CheckConstraint(
            "(decided_by is null) = (decided_at is null)", name="adjustment_decision_is_whole"
        ),
        Index("adjustments_by_member", "member_id", "created_at"),
        Index("adjustments_by_state", "state", "id"),
    )

    id: str = words(primary_key=True)
    member_id: str = words()
    points: int = amount()
    reason: str = words()
    state: str = words()
    requested_by: str = words()
    created_at: datetime = moment()
    decided_by: str | None = words(null=True)
    decision_reason: str | None = words(null=True)
    decided_at: datetime | None = moment(null=True)
