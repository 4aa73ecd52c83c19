"""lots that are due by their member; a lot may be extended from the same day again"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "c8e3f0a61b57"
down_revision: str | None = "5d21a7e4c902"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_DUE = sa.text("state = 'pending' and available_at is not null")


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.create_index(
        "point_lots_due", "point_lots", ["member_id", "available_at"], postgresql_where=_DUE
    )
    # Points may lapse, be given back and be extended once more; merges may do as much.
    op.drop_constraint("expiry_extended_once", "expiry_extensions", type_="unique")


def downgrade() -> None:
    # Fails where a lot was extended twice from one day since.
    op.execute("set local lock_timeout = '4s'")
    op.create_unique_constraint(
        "expiry_extended_once",
        "expiry_extensions",
        ["member_id", "lot_id", "previous_expires_at"],
    )
    op.drop_index("point_lots_due", table_name="point_lots", postgresql_where=_DUE)
