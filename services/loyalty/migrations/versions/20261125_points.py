"""points: transfers, adjustments, what of a redemption went back"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "d41c7e9a5b20"
down_revision: str | None = "4c1f6d0a92be"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.create_table(
        "adjustments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("points <> 0", name="adjustment_has_points"),
        sa.CheckConstraint(
            "state in ('applied', 'awaiting_approval', 'rejected')", name="adjustment_state"
        ),
        sa.CheckConstraint("decided_by <> requested_by", name="adjustment_second_person"),
        sa.CheckConstraint(
            "(decided_by is null) = (decided_at is null)", name="adjustment_decision_is_whole"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("adjustments_by_member", "adjustments", ["member_id", "created_at"])
    op.create_index("adjustments_by_state", "adjustments", ["state", "id"])
    op.create_table(
        "transfers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("to_member_id", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("points > 0", name="transfer_has_points"),
        sa.CheckConstraint("member_id <> to_member_id", name="transfer_has_two_sides"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("transfers_by_sender", "transfers", ["member_id", "created_at"])
    op.create_index("transfers_by_recipient", "transfers", ["to_member_id", "created_at"])

    op.add_column(
        "redemptions",
        sa.Column("returned_points", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.execute("update redemptions set returned_points = points where state = 'released'")
    op.create_check_constraint(
        "redemption_returned",
        "redemptions",
        "returned_points >= 0 and returned_points <= points",
    )
    op.create_index(
        "redemptions_one_hold",
        "redemptions",
        ["member_id", "purpose", "reference"],
        unique=True,
        postgresql_where=sa.text("state = 'held'"),
    )


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.drop_index(
        "redemptions_one_hold",
        table_name="redemptions",
        postgresql_where=sa.text("state = 'held'"),
    )
    op.drop_constraint("redemption_returned", "redemptions", type_="check")
    op.drop_column("redemptions", "returned_points")
    op.drop_table("transfers")
    op.drop_table("adjustments")
