"""test clock"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from shared.technical_tables import create_test_clock, drop_test_clock

revision: str = "c10c4a11e004"
down_revision: str | None = "18e6b2159724"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    create_test_clock()
    op.create_table(
        "clock_advances",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("moments", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.CheckConstraint("from_at < to_at and from_at <= at", name="advance_goes_forward"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "clock_advance_going_on",
        "clock_advances",
        ["settled"],
        unique=True,
        postgresql_where=sa.text("not settled"),
    )


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.drop_index(
        "clock_advance_going_on",
        table_name="clock_advances",
        postgresql_where=sa.text("not settled"),
    )
    op.drop_table("clock_advances")
    drop_test_clock()
