"""first tables"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.technical_tables import create_technical_tables, drop_technical_tables

revision: str = "18e6b2159724"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    create_technical_tables()
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id ~ '^[0-9a-z]{8}$'", name="api_key_id"),
        sa.CheckConstraint(
            "not ('*' = any (scopes)) or cardinality(scopes) = 1", name="api_key_all_scopes_alone"
        ),
        sa.CheckConstraint(
            "(revoked_at is null) = (revoked_by is null)", name="api_key_revoked_by_somebody"
        ),
        sa.CheckConstraint("octet_length(secret_hash) = 32", name="api_key_hash"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("api_keys_by_age", "api_keys", ["created_at", "id"], unique=False)


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.drop_index("api_keys_by_age", table_name="api_keys")
    op.drop_table("api_keys")
    drop_technical_tables()
