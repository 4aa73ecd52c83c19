"""what a database belongs to: live or sandbox"""

from collections.abc import Sequence

from alembic import op

from shared.technical_tables import add_mode, drop_mode

revision: str = "30de5a11e003"
down_revision: str | None = "0b0c5e11e003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    add_mode()


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    drop_mode()
