"""first tables"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.technical_tables import create_technical_tables, drop_technical_tables

revision: str = "3adda08e3e1a"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    create_technical_tables()
    op.create_table(
        "member_rfm",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("frequency", sa.Integer(), nullable=False),
        sa.Column("monetary_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("r", sa.Integer(), nullable=True),
        sa.Column("f", sa.Integer(), nullable=True),
        sa.Column("m", sa.Integer(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("segment_11", sa.Text(), nullable=False),
        sa.Column("segment_group", sa.Text(), nullable=True),
        sa.Column("threshold_set_id", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("unscored_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(state = 'active') = (frequency > 0)", name="rfm_active"),
        sa.CheckConstraint(
            "(state = 'active') = (r is not null) and (r is null) = (f is null)"
            " and (r is null) = (m is null)",
            name="rfm_scored",
        ),
        sa.CheckConstraint("(state = 'prospect') = (last_day is null)", name="rfm_prospect"),
        sa.CheckConstraint("state in ('prospect', 'lapsed', 'active')", name="rfm_state"),
        sa.CheckConstraint("frequency >= 0 and monetary_fen >= 0", name="rfm_measures"),
        sa.CheckConstraint(
            "r between 1 and 5 and f between 1 and 5 and m between 1 and 5", name="rfm_levels"
        ),
        sa.PrimaryKeyConstraint("member_id"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "member_rfm_unscored",
        "member_rfm",
        ["unscored_since"],
        unique=False,
        postgresql_where=sa.text("unscored_since is not null"),
    )
    op.create_table(
        "members",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("since_day", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("member_id"),
    )
    op.create_table(
        "order_facts",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_day", sa.Date(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("refunded_fen", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("paid_fen >= 0 and refunded_fen >= 0", name="order_fact_amounts"),
        sa.PrimaryKeyConstraint("order_id"),
    )
    op.create_index("order_facts_by_member", "order_facts", ["member_id", "paid_day"], unique=False)
    op.create_table(
        "refund_facts",
        sa.Column("refund_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("refunded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refunded_day", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen >= 0", name="refund_fact_amount"),
        sa.PrimaryKeyConstraint("refund_id"),
    )
    op.create_index("refund_facts_by_member", "refund_facts", ["member_id"], unique=False)
    op.create_table(
        "segment_runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("scored", sa.BigInteger(), nullable=False),
        sa.Column("moved", sa.BigInteger(), nullable=False),
        sa.Column("last_member_id", sa.Text(), nullable=False),
        sa.Column("threshold_set_id", sa.Text(), nullable=True),
        sa.Column("outdated", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("cause in ('night', 'run', 'import')", name="run_cause"),
        sa.CheckConstraint("state in ('queued', 'running', 'done', 'failed')", name="run_state"),
        sa.CheckConstraint("scored <= total and moved <= scored", name="run_progress"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "segment_run_night",
        "segment_runs",
        ["as_of"],
        unique=True,
        postgresql_where=sa.text("cause = 'night'"),
    )
    op.create_index(
        "segment_run_queued",
        "segment_runs",
        ["as_of"],
        unique=True,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("segment_runs_by_day", "segment_runs", ["as_of", "id"], unique=False)
    op.create_index(
        "segment_runs_open",
        "segment_runs",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state in ('queued', 'running')"),
    )
    op.create_table(
        "segment_sizes",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("orders", sa.BigInteger(), nullable=False),
        sa.Column("monetary_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("scheme in ('segment', 'segment_11', 'group')", name="size_scheme"),
        sa.PrimaryKeyConstraint("run_id", "scheme", "code"),
    )
    op.create_table(
        "segment_snapshots",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("segment_11", sa.Text(), nullable=False),
        sa.Column("segment_group", sa.Text(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("frequency", sa.Integer(), nullable=False),
        sa.Column("monetary_fen", sa.BigInteger(), nullable=False),
        sa.Column("r", sa.Integer(), nullable=True),
        sa.Column("f", sa.Integer(), nullable=True),
        sa.Column("m", sa.Integer(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("threshold_set_id", sa.Text(), nullable=False),
        sa.CheckConstraint("valid_to is null or valid_to >= valid_from", name="snapshot_span"),
        sa.PrimaryKeyConstraint("member_id", "version"),
    )
    op.create_index("segment_snapshots_by_time", "segment_snapshots", ["valid_from"], unique=False)
    op.create_table(
        "threshold_sets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("population", sa.BigInteger(), nullable=False),
        sa.Column("recency_cuts_days", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("frequency_cuts", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("monetary_cuts_fen", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("scored", sa.BigInteger(), nullable=False),
        sa.Column("r_sum", sa.BigInteger(), nullable=False),
        sa.Column("f_sum", sa.BigInteger(), nullable=False),
        sa.Column("m_sum", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("in_force_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("in_force_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("method in ('quantile', 'fixed')", name="threshold_method"),
        sa.CheckConstraint(
            "in_force_until is null or in_force_from is not null", name="threshold_in_force"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "threshold_set_in_force",
        "threshold_sets",
        [sa.text("(true)")],
        unique=True,
        postgresql_where=sa.text("in_force_from is not null and in_force_until is null"),
    )


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.drop_index(
        "threshold_set_in_force",
        table_name="threshold_sets",
        postgresql_where=sa.text("in_force_from is not null and in_force_until is null"),
    )
    op.drop_table("threshold_sets")
    op.drop_index("segment_snapshots_by_time", table_name="segment_snapshots")
    op.drop_table("segment_snapshots")
    op.drop_table("segment_sizes")
    op.drop_index(
        "segment_runs_open",
        table_name="segment_runs",
        postgresql_where=sa.text("state in ('queued', 'running')"),
    )
    op.drop_index("segment_runs_by_day", table_name="segment_runs")
    op.drop_index(
        "segment_run_queued",
        table_name="segment_runs",
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index(
        "segment_run_night", table_name="segment_runs", postgresql_where=sa.text("cause = 'night'")
    )
    op.drop_table("segment_runs")
    op.drop_index("refund_facts_by_member", table_name="refund_facts")
    op.drop_table("refund_facts")
    op.drop_index("order_facts_by_member", table_name="order_facts")
    op.drop_table("order_facts")
    op.drop_table("members")
    op.drop_index(
        "member_rfm_unscored",
        table_name="member_rfm",
        postgresql_where=sa.text("unscored_since is not null"),
    )
    op.drop_table("member_rfm")
    drop_technical_tables()
