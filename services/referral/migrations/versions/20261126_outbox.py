"""fewer indexes for each event"""

from collections.abc import Sequence

from alembic import op

from shared.technical_tables import lighten_outbox, restore_outbox

revision: str = "0b0c5e11e002"
down_revision: str | None = "c10c4a11e002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    lighten_outbox()


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    restore_outbox()
