"""The end of lots: notices of it, which lots they spoke of, what came of them, and extensions."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, text

from services.loyalty.store.tables.base import Table, amount, moment, words


class ExpiryNotice(Table, table=True):
    """What a member is to be told: so many points lapse at that moment."""

    __tablename__ = "expiry_notices"
    __table_args__ = (
        CheckConstraint(
            "state in ('announced', 'failed', 'delivered', 'closed')", name="expiry_notice_state"
        ),
        CheckConstraint("points > 0", name="expiry_notice_has_points"),
        CheckConstraint(
            "(state = 'delivered') = (delivered_at is not null)", name="expiry_notice_delivery"
        ),
        Index("expiry_notices_by_member", "member_id", "expires_at"),
        Index("expiry_notices_by_state", "state", "id"),
        Index(
            "expiry_notices_waiting",
            "expires_at",
            postgresql_where=text("state in ('announced', 'failed')"),
        ),
    )

    id: str = words(primary_key=True)
    member_id: str = words()
    #: announced; failed on some channel; delivered; closed when its day came before that.
    state: str = words()
    points: int = amount()
    expires_at: datetime = moment()
    #: A later delivery does not let the points lapse.
    deliver_by: datetime = moment()
    announced_at: datetime = moment()
    channel: str | None = words(null=True)
    delivered_at: datetime | None = moment(null=True)
    #: The channel's own id of the message.
    receipt: str | None = words(null=True)


class ExpiryNoticeLot(Table, table=True):
    """How many points of a lot a notice covers."""

    __tablename__ = "expiry_notice_lots"
    __table_args__ = (
        PrimaryKeyConstraint("notice_id", "lot_id"),
        CheckConstraint("points > 0", name="expiry_notice_lot_has_points"),
        Index("expiry_notice_lots_by_lot", "member_id", "lot_id", "expires_at"),
    )

    notice_id: str = words(primary_key=True)
    lot_id: str = words(primary_key=True)
    member_id: str = words()
    expires_at: datetime = moment()
    points: int = amount()


class ExpiryNoticeFailure(Table, table=True):
    """A channel on which a notice could not be delivered, and why."""

    __tablename__ = "expiry_notice_failures"
    __table_args__ = (PrimaryKeyConstraint("notice_id", "channel"),)

    notice_id: str = words(primary_key=True)
    channel: str = words(primary_key=True)
    member_id: str = words()
    reason: str = words()
    failed_at: datetime = moment()


class ExpiryExtension(Table, table=True):
    """A lot's expiry moved later, by rule or by an operator. Balances stay as they are."""

    __tablename__ = "expiry_extensions"
    __table_args__ = (
        CheckConstraint("expires_at > previous_expires_at", name="expiry_extension_is_later"),
        CheckConstraint(
            "reason in ('never_announced', 'not_delivered', 'delivered_too_late',"
            " 'points_added_after_notice', 'by_operator')",
            name="expiry_extension_reason",
        ),
        Index("expiry_extensions_by_member", "member_id", "id"),
    )

    id: str = words(primary_key=True)
    member_id: str = words()
    lot_id: str = words()
    #: What remained of the lot; with what is held of it, where an operator extended it.
    points: int = amount()
    reason: str = words()
    #: Why an operator wanted it.
    note: str | None = words(null=True)
    previous_expires_at: datetime = moment()
    expires_at: datetime = moment()
    occurred_at: datetime = moment()
    recorded_at: datetime = moment()
    actor: str = words()
