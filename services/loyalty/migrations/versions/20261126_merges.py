"""merges by the member who went on elsewhere, those taken back among them"""

from collections.abc import Sequence

from alembic import op

revision: str = "5d21a7e4c902"
down_revision: str | None = "0b0c5e11e001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_INDEX = "ix_member_merges_source_member_id"


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.create_index(_INDEX, "member_merges", ["source_member_id"])


def downgrade() -> None:
    op.drop_index(_INDEX, table_name="member_merges")
