"""What a checkout holds until its order captures it."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, text

from services.loyalty.store.tables.base import Table, amount, document, moment, words


class Reservation(Table, table=True):
    """A voucher or several and points, held together for one basket, for a while."""

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint(
            "state in ('held', 'captured', 'released', 'expired')", name="reservation_state"
        ),
        CheckConstraint("payable_fen >= 0 and discount_fen >= 0", name="reservation_amounts"),
        Index("reservations_by_member", "member_id", "created_at"),
        Index("reservations_stale", "expires_at", postgresql_where=text("state = 'held'")),
    )

    id: str = words(primary_key=True)
    member_id: str = words()
    state: str = words()
    items: list[dict[str, Any]] = document()
    #: `{"id", "discount_fen"}` of each voucher, in the order of use.
    vouchers: list[dict[str, Any]] = document()
    points: int = amount(0)
    #: The redemption that holds the points; None without points.
    redemption_id: str | None = words(null=True)
    #: The basket, what the vouchers take off, what the points are worth, what is left to pay.
    basket_fen: int = amount()
    discount_fen: int = amount()
    points_value_fen: int = amount()
    payable_fen: int = amount()
    order_id: str | None = words(null=True)
    expires_at: datetime = moment()
    created_at: datetime = moment()
    closed_at: datetime | None = moment(null=True)
