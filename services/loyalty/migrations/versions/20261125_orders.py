"""orders: cancelled, completed before they are known, refunded by line, points returned"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "5b1f6f0e9c3d"
down_revision: str | None = "3f6a1c8be210"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.create_table(
        "early_completions",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("order_id"),
    )
    op.create_table(
        "order_cancellations",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("facts_hash", sa.LargeBinary(), nullable=False),
        sa.Column("applied_fen", sa.BigInteger(), nullable=True),
        sa.Column("clawed_back_points", sa.BigInteger(), nullable=True),
        sa.Column("debt_points", sa.BigInteger(), nullable=True),
        sa.Column("returned_points", sa.BigInteger(), nullable=True),
        sa.Column("growth", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("order_id"),
    )
    for name in ("came_completed", "came_cancelled"):
        op.add_column(
            "orders",
            sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False),
        )
    for table in ("refunds", "order_cancellations"):
        op.create_index(
            f"{table}_waiting", table, ["order_id"], postgresql_where=sa.text("applied_at is null")
        )
    op.add_column("orders", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("refunds", sa.Column("returned_points", sa.BigInteger(), nullable=True))
    op.add_column("refunds", sa.Column("items_match", sa.Boolean(), nullable=True))
    # Refunds that counted before returned nothing: no order gave back points that had paid it.
    op.execute("update refunds set returned_points = 0 where applied_at is not null")


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.drop_index(
        "refunds_waiting", table_name="refunds", postgresql_where=sa.text("applied_at is null")
    )
    op.drop_column("refunds", "items_match")
    op.drop_column("refunds", "returned_points")
    op.drop_column("orders", "cancelled_at")
    op.drop_column("orders", "came_cancelled")
    op.drop_column("orders", "came_completed")
    op.drop_table("order_cancellations")
    op.drop_table("early_completions")
