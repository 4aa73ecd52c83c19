"""what batches of hot requests need"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "3f6a1c8be210"
down_revision: str | None = "b0735883a7a1"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_SPENDABLE = sa.text("state = 'available' and remaining > 0")
_REFUSE_STALE = """
    create function refuse_stale(done bigint, wanted bigint) returns bigint
    language plpgsql as $$
    begin
      if done <> wanted then
        raise exception 'decided on what has changed since' using errcode = 'HT001';
      end if;
      return done;
    end
    $$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.add_column("accounts", sa.Column("growth_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "accounts", sa.Column("version", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.drop_index("point_lots_spendable", "point_lots", postgresql_where=_SPENDABLE)
    op.create_index(
        "point_lots_spendable",
        "point_lots",
        ["member_id", "expires_at", "created_at", "id"],
        postgresql_where=_SPENDABLE,
    )
    op.execute(_REFUSE_STALE)


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.execute("drop function refuse_stale(bigint, bigint)")
    op.drop_index("point_lots_spendable", "point_lots", postgresql_where=_SPENDABLE)
    op.create_index(
        "point_lots_spendable",
        "point_lots",
        ["member_id", "expires_at"],
        postgresql_where=_SPENDABLE,
    )
    op.drop_column("accounts", "version")
    op.drop_column("accounts", "growth_since")
