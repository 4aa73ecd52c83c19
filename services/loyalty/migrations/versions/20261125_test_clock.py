"""test clock"""

from collections.abc import Sequence

from alembic import op

from shared.technical_tables import create_test_clock, drop_test_clock

revision: str = "c10c4a11e001"
down_revision: str | None = "c41f0a7d92e6"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    create_test_clock()


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    drop_test_clock()
