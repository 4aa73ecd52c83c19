"""Facts, as loyalty reported them: never changed."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index

from services.segmentation.store.tables.base import Base, amount, moment, words


class OrderFact(Base, table=True):
    """A paid order, as loyalty reported it."""

    __tablename__ = "order_facts"
    __table_args__ = (
        CheckConstraint("paid_fen >= 0 and refunded_fen >= 0", name="order_fact_amounts"),
        Index("order_facts_by_member", "member_id", "paid_day"),
    )

    order_id: str = words(primary_key=True)
    member_id: str = words()
    paid_at: datetime = moment()
    #: The business day of `paid_at`.
    paid_day: date
    paid_fen: int = amount()
    #: What an imported history says had gone back, without saying when.
    refunded_fen: int = amount()
    recorded_at: datetime = moment()


class RefundFact(Base, table=True):
    """One refund. No foreign key: it may come before its order."""

    __tablename__ = "refund_facts"
    __table_args__ = (
        CheckConstraint("amount_fen >= 0", name="refund_fact_amount"),
        Index("refund_facts_by_member", "member_id"),
    )

    refund_id: str = words(primary_key=True)
    order_id: str = words()
    member_id: str = words()
    amount_fen: int = amount()
    refunded_at: datetime = moment()
    #: The business day of `refunded_at`.
    refunded_day: date
    recorded_at: datetime = moment()


class Member(Base, table=True):
    """A member we have heard of."""

    __tablename__ = "members"

    member_id: str = words(primary_key=True)
    #: The business day of enrolment or of the first order, whichever is earlier: imported
    #: customers were customers long before they were imported.
    since_day: date
    #: Since when the person is gone. Their orders still count in sizes, under an id that leads to
    #: nobody.
    erased_at: datetime | None = moment(null=True)
    recorded_at: datetime = moment()
