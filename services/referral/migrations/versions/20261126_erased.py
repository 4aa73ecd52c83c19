"""since when a person is gone"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "30de5a21e002"
down_revision: str | None = "30de5a11e002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.add_column("member_facts", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.drop_column("member_facts", "erased_at")
