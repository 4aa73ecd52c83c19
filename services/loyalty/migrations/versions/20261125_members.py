"""members: merges, erasure"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "5d1c0e7a9b42"
down_revision: str | None = "d41c7e9a5b20"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Replies kept before this stair that show a profile; the member's id is their first field.
_KNOWN_REPLIES = """
    insert into member_replies (member_id, scope, key)
    select convert_from(substring(body from 8 for 30), 'UTF8'), scope, key
    from idempotency_keys
    where (scope like '% enrol_member' or scope like '% update_member_profile')
      and substring(body from 1 for 11) = convert_to('{"id":"mem_', 'UTF8')
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.create_table(
        "member_merges",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("source_member_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("debt", sa.BigInteger(), nullable=False),
        sa.Column("repaid", sa.BigInteger(), nullable=False),
        sa.Column("orders_debt", sa.BigInteger(), nullable=False),
        sa.Column("member_standing", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source_standing", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("filled", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("merged_by", sa.Text(), nullable=False),
        sa.Column("merged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reversed_by", sa.Text(), nullable=True),
        sa.Column("reversal_reason", sa.Text(), nullable=True),
        sa.Column("returned_available", sa.BigInteger(), nullable=True),
        sa.Column("returned_pending", sa.BigInteger(), nullable=True),
        sa.Column("returned_held", sa.BigInteger(), nullable=True),
        sa.Column("returned_debt", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("member_id <> source_member_id", name="merge_of_two"),
        sa.CheckConstraint(
            "available >= 0 and pending >= 0 and held >= 0 and debt >= 0 and repaid >= 0",
            name="merge_amounts",
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("member_id", "number", name="merge_numbered"),
    )
    op.create_index(
        "member_merges_once",
        "member_merges",
        ["source_member_id"],
        unique=True,
        postgresql_where=sa.text("reversed_at is null"),
    )
    op.create_table(
        "member_merge_moves",
        sa.Column("merge_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("thing_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["merge_id"], ["member_merges.id"]),
        sa.PrimaryKeyConstraint("merge_id", "kind", "thing_id"),
    )
    op.create_index(op.f("ix_member_merge_moves_member_id"), "member_merge_moves", ["member_id"])
    op.create_table(
        "erased_identities",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("value_hash", sa.LargeBinary(), nullable=False),
        sa.Column("erased_on", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "app_id", "value_hash"),
    )
    op.create_table(
        "member_replies",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("member_id", "scope", "key"),
    )
    op.execute(_KNOWN_REPLIES)
    op.add_column(
        "members",
        sa.Column(
            "previously_erased", sa.Boolean(), nullable=False, server_default=sa.text("false")
        ),
    )
    op.add_column("members", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_members_merged_into"), "members", ["merged_into"])
    op.add_column("point_lots", sa.Column("moved_by", sa.Text(), nullable=True))


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")

    op.drop_column("point_lots", "moved_by")
    op.drop_index(op.f("ix_members_merged_into"), table_name="members")
    op.drop_column("members", "erased_at")
    op.drop_column("members", "previously_erased")
    op.drop_table("member_replies")
    op.drop_table("erased_identities")
    op.drop_index(op.f("ix_member_merge_moves_member_id"), table_name="member_merge_moves")
    op.drop_table("member_merge_moves")
    op.drop_index("member_merges_once", table_name="member_merges")
    op.drop_table("member_merges")
