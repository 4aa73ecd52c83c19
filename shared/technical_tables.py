"""The technical tables as first migrations make them: a fixed copy, never changed afterwards.

A later change of `shared.tables` is a new migration in each service.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql


def create_technical_tables() -> None:
    """Make them, with the log's one head."""
    _create_log()
    _create_feed()
    _create_subscriptions()
    _create_idempotency()


def drop_technical_tables() -> None:
    """Remove them."""
    op.drop_index(
        "parked_events_waiting",
        table_name="parked_events",
        postgresql_where=sa.text("state = 'parked'"),
    )
    op.drop_table("parked_events")
    op.drop_index("outbox_pending", table_name="outbox", postgresql_where=sa.text("pos is null"))
    op.drop_table("outbox")
    op.drop_table("idempotency_keys")
    op.drop_table("feed_head")
    op.drop_table("feed_acks")
    op.drop_table("event_subjects")
    op.drop_table("event_cursors")
    op.execute("drop sequence outbox_id")


def create_test_clock() -> None:
    """Make the table that came with the sandbox's clock."""
    op.create_table(
        "test_clock",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("offset_us", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("standing", sa.Boolean(), nullable=False),
        sa.CheckConstraint("one", name="test_clock_is_one_row"),
        sa.PrimaryKeyConstraint("one"),
    )


def drop_test_clock() -> None:
    """Remove it."""
    op.drop_table("test_clock")


def lighten_outbox() -> None:
    """Keep two indexes fewer for each event: of its id, and of the position it has not got yet."""
    op.drop_constraint("outbox_event_id_key", "outbox", type_="unique")
    op.drop_constraint("outbox_pos_key", "outbox", type_="unique")
    placed = sa.text("pos is not null")
    op.create_index("outbox_placed", "outbox", ["pos"], unique=True, postgresql_where=placed)


def restore_outbox() -> None:
    """As it was."""
    op.drop_index("outbox_placed", "outbox")
    op.create_unique_constraint("outbox_pos_key", "outbox", ["pos"])
    op.create_unique_constraint("outbox_event_id_key", "outbox", ["event_id"])


def add_mode() -> None:
    """Keep what a database belongs to."""
    op.add_column("feed_head", sa.Column("mode", sa.Text(), nullable=True))


def drop_mode() -> None:
    """As it was."""
    op.drop_column("feed_head", "mode")


def _create_log() -> None:
    op.execute("create sequence outbox_id as bigint cache 1")
    op.create_table(
        "outbox",
        sa.Column(
            "id", sa.BigInteger(), server_default=sa.text("nextval('outbox_id')"), nullable=False
        ),
        sa.Column("pos", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("subject_version", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id"),
        sa.UniqueConstraint("pos"),
        sa.UniqueConstraint("subject", "subject_version", name="outbox_subject_version"),
    )
    op.create_index(
        "outbox_pending", "outbox", ["id"], unique=False, postgresql_where=sa.text("pos is null")
    )


def _create_feed() -> None:
    op.create_table(
        "event_subjects",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "feed_acks",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=False),
        sa.Column("acked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer"),
    )
    op.create_table(
        "feed_head",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("epoch", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("pos", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("one", name="feed_head_is_one_row"),
        sa.PrimaryKeyConstraint("one"),
        postgresql_with={"fillfactor": 50},
    )
    op.execute("insert into feed_head default values")


def _create_subscriptions() -> None:
    op.create_table(
        "event_cursors",
        sa.Column("producer", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Uuid(), nullable=True),
        sa.Column("pos", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("producer"),
    )
    op.create_table(
        "parked_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("producer", sa.Text(), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("event", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'parked'"), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('parked', 'applied', 'skipped')", name="parked_event_state"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("producer", "event_id", name="parked_event_once"),
    )
    op.create_index(
        "parked_events_waiting",
        "parked_events",
        ["producer", "subject", "pos"],
        unique=False,
        postgresql_where=sa.text("state = 'parked'"),
    )


def _create_idempotency() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key"),
    )
