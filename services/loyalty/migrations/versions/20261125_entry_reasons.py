"""reasons stand beside the ledger"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "7e02b9d4c6f1"
down_revision: str | None = "c10c4a11e001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.create_table(
        "entry_reasons",
        sa.Column("cause_kind", sa.Text(), nullable=False),
        sa.Column("cause_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cause_kind", "cause_id", "member_id"),
    )
    op.create_index("entry_reasons_by_member", "entry_reasons", ["member_id"])


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.drop_index("entry_reasons_by_member", table_name="entry_reasons")
    op.drop_table("entry_reasons")
