"""The technical tables that each service keeps in its own database, beside its own.

One definition for all; a service's `store/tables.py` copies them into its metadata so that its
migrations make them.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

technical = MetaData()
_moment = DateTime(timezone=True)

outbox_id = Sequence("outbox_id", metadata=technical, data_type=BigInteger, cache=1)

#: Facts of this service, written in the transaction that causes them; `pos` comes after commit.
outbox = Table(
    "outbox",
    technical,
    Column("id", BigInteger, outbox_id, server_default=outbox_id.next_value(), primary_key=True),
    Column("pos", BigInteger),
    # 122 random bits: an index that nobody reads, to see whether two are alike, is not worth it.
    Column("event_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("subject_version", BigInteger, nullable=False),
    Column("occurred_at", _moment, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("traceparent", Text),
    UniqueConstraint("subject", "subject_version", name="outbox_subject_version"),
    Index("outbox_pending", "id", postgresql_where=text("pos is null")),
    Index("outbox_placed", "pos", unique=True, postgresql_where=text("pos is not null")),
)

#: How many events each subject has had; its row is locked while events are appended.
event_subjects = Table(
    "event_subjects",
    technical,
    Column("subject", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    postgresql_with={"fillfactor": 70},
)

#: One row: the last position given out, and the epoch that a restore from backup changes.
feed_head = Table(
    "feed_head",
    technical,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("epoch", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("pos", BigInteger, nullable=False, server_default=text("0")),
    #: What the database belongs to, live or sandbox; null until it is first opened.
    Column("mode", Text, nullable=True),
    CheckConstraint("one", name="feed_head_is_one_row"),
    postgresql_with={"fillfactor": 50},
)

#: How far each consumer of this service's feed says it has come.
feed_acks = Table(
    "feed_acks",
    technical,
    Column("consumer", Text, primary_key=True),
    Column("pos", BigInteger, nullable=False),
    Column("acked_at", _moment, nullable=False),
)

#: How far this service has applied each producer's events; moved by compare-and-set only.
event_cursors = Table(
    "event_cursors",
    technical,
    Column("producer", Text, primary_key=True),
    Column("epoch", Uuid),
    Column("pos", BigInteger, nullable=False),
    Column("event_id", Uuid),
    Column("moved_at", _moment, nullable=False),
)

#: Events that could not be applied, and the later ones of the same subject that queue behind them.
parked_events = Table(
    "parked_events",
    technical,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("producer", Text, nullable=False),
    Column("pos", BigInteger, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("subject", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("event", JSONB, nullable=False),
    Column("error", Text),
    Column("state", Text, nullable=False, server_default=text("'parked'")),
    Column("resolution", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("parked_at", _moment, nullable=False),
    Column("resolved_at", _moment),
    UniqueConstraint("producer", "event_id", name="parked_event_once"),
    CheckConstraint("state in ('parked', 'applied', 'skipped')", name="parked_event_state"),
    Index(
        "parked_events_waiting",
        "producer",
        "subject",
        "pos",
        postgresql_where=text("state = 'parked'"),
    ),
)

#: Replies already given, by caller, operation and Idempotency-Key.
idempotency_keys = Table(
    "idempotency_keys",
    technical,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", SmallInteger),
    Column("media_type", Text),
    Column("body", LargeBinary),
    Column("created_at", _moment, nullable=False),
)

#: One row at most, and only in a sandbox: how its clock is set (`shared.kernel.clock`).
test_clock = Table(
    "test_clock",
    technical,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("revision", BigInteger, nullable=False),
    Column("offset_us", BigInteger, nullable=False),
    Column("at", _moment, nullable=False),
    Column("standing", Boolean, nullable=False),
    CheckConstraint("one", name="test_clock_is_one_row"),
)


def add_technical_tables(metadata: MetaData) -> None:
    """Copy the technical tables into a service's metadata."""
    for table in technical.sorted_tables:
        table.to_metadata(metadata)
