"""reservations"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "b0735883a7a1"
down_revision: str | None = "9a038061c7c9"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.create_table(
        "reservations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("items", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("vouchers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("redemption_id", sa.Text(), nullable=True),
        sa.Column("basket_fen", sa.BigInteger(), nullable=False),
        sa.Column("discount_fen", sa.BigInteger(), nullable=False),
        sa.Column("points_value_fen", sa.BigInteger(), nullable=False),
        sa.Column("payable_fen", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('held', 'captured', 'released', 'expired')", name="reservation_state"
        ),
        sa.CheckConstraint("payable_fen >= 0 and discount_fen >= 0", name="reservation_amounts"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "reservations_by_member", "reservations", ["member_id", "created_at"], unique=False
    )
    op.create_index(
        "reservations_stale",
        "reservations",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'held'"),
    )
    op.add_column("vouchers", sa.Column("reservation_id", sa.Text(), nullable=True))


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.drop_column("vouchers", "reservation_id")
    op.drop_index(
        "reservations_stale", table_name="reservations", postgresql_where=sa.text("state = 'held'")
    )
    op.drop_index("reservations_by_member", table_name="reservations")
    op.drop_table("reservations")
