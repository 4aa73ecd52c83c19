"""Runs, and the sizes they found."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Text
from sqlalchemy import text as sql
from sqlmodel import Field

from services.segmentation.store.tables.base import Base, moment, words


class SegmentRun(Base, table=True):
    """A scoring of the whole population, and how far it has come."""

    __tablename__ = "segment_runs"
    __table_args__ = (
        CheckConstraint("state in ('queued', 'running', 'done', 'failed')", name="run_state"),
        CheckConstraint("cause in ('night', 'run', 'import')", name="run_cause"),
        CheckConstraint("scored <= total and moved <= scored", name="run_progress"),
        # A queued run stands for everybody who asks for that day; a day has one night.
        Index("segment_run_queued", "as_of", unique=True, postgresql_where=sql("state = 'queued'")),
        Index("segment_run_night", "as_of", unique=True, postgresql_where=sql("cause = 'night'")),
        Index("segment_runs_by_day", "as_of", "id"),
        Index(
            "segment_runs_open",
            "id",
            postgresql_where=sql("state in ('queued', 'running')"),
        ),
    )

    id: str = words(primary_key=True)
    as_of: date
    cause: str = words()
    state: str = words()
    #: Whether it moves the members: it was of the day on which it ran. None before it has begun.
    live: bool | None = None
    total: int = Field(default=0, sa_type=BigInteger)
    scored: int = Field(default=0, sa_type=BigInteger)
    moved: int = Field(default=0, sa_type=BigInteger)
    #: The last member scored, in order of ids.
    last_member_id: str = Field(default="", sa_type=Text)
    threshold_set_id: str | None = words(null=True)
    #: Whether facts of its day or before came after it had looked.
    outdated: bool = False
    #: The name of what made it fail.
    error: str | None = words(null=True)
    actor: str = words()
    created_at: datetime = moment()
    started_at: datetime | None = moment(null=True)
    finished_at: datetime | None = moment(null=True)


class SegmentSize(Base, table=True):
    """How many members a run found in a segment, and what they had bought."""

    __tablename__ = "segment_sizes"
    __table_args__ = (
        CheckConstraint("scheme in ('segment', 'segment_11', 'group')", name="size_scheme"),
    )

    run_id: str = words(primary_key=True)
    scheme: str = words(primary_key=True)
    #: A segment's code; `none` for members in no group.
    code: str = words(primary_key=True)
    size: int = Field(sa_type=BigInteger)
    orders: int = Field(sa_type=BigInteger)
    monetary_fen: int = Field(sa_type=BigInteger)
