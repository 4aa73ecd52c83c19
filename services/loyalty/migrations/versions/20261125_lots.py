"""the end of lots: notices, deliveries, extensions; the activity policy"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "4c1f6d0a92be"
down_revision: str | None = "c41e7d02b6f5"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_WAITING = sa.text("state in ('announced', 'failed')")
_REASONS = (
    "('never_announced', 'not_delivered', 'delivered_too_late',"
    " 'points_added_after_notice', 'by_operator')"
)
_ACTIVITY_MONTHS = (
    "case when (rules #>> '{points,expiry,policy}'::text[]) = 'activity'::text"
    " then (rules #>> '{points,expiry,months}'::text[])::integer else null::integer end"
)


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.create_table(
        "expiry_notices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deliver_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('announced', 'failed', 'delivered', 'closed')", name="expiry_notice_state"
        ),
        sa.CheckConstraint("points > 0", name="expiry_notice_has_points"),
        sa.CheckConstraint(
            "(state = 'delivered') = (delivered_at is not null)", name="expiry_notice_delivery"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("expiry_notices_by_member", "expiry_notices", ["member_id", "expires_at"])
    op.create_index("expiry_notices_by_state", "expiry_notices", ["state", "id"])
    op.create_index(
        "expiry_notices_waiting", "expiry_notices", ["expires_at"], postgresql_where=_WAITING
    )
    op.create_table(
        "expiry_notice_lots",
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("lot_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("points > 0", name="expiry_notice_lot_has_points"),
        sa.PrimaryKeyConstraint("notice_id", "lot_id"),
    )
    op.create_index(
        "expiry_notice_lots_by_lot", "expiry_notice_lots", ["member_id", "lot_id", "expires_at"]
    )
    op.create_table(
        "expiry_notice_failures",
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("notice_id", "channel"),
    )
    op.create_table(
        "expiry_extensions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("lot_id", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("previous_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.CheckConstraint("expires_at > previous_expires_at", name="expiry_extension_is_later"),
        sa.CheckConstraint(f"reason in {_REASONS}", name="expiry_extension_reason"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "member_id", "lot_id", "previous_expires_at", name="expiry_extended_once"
        ),
    )
    op.create_index("expiry_extensions_by_member", "expiry_extensions", ["member_id", "id"])
    op.add_column(
        "programme_versions",
        sa.Column("activity_months", sa.Integer(), sa.Computed(_ACTIVITY_MONTHS, persisted=True)),
    )


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.drop_column("programme_versions", "activity_months")
    op.drop_index("expiry_extensions_by_member", table_name="expiry_extensions")
    op.drop_table("expiry_extensions")
    op.drop_table("expiry_notice_failures")
    op.drop_index("expiry_notice_lots_by_lot", table_name="expiry_notice_lots")
    op.drop_table("expiry_notice_lots")
    op.drop_index("expiry_notices_waiting", table_name="expiry_notices", postgresql_where=_WAITING)
    op.drop_index("expiry_notices_by_state", table_name="expiry_notices")
    op.drop_index("expiry_notices_by_member", table_name="expiry_notices")
    op.drop_table("expiry_notices")
