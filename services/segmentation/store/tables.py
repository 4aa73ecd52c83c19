"""Every table of this service.

Facts (`order_facts`, `refund_facts`, `members`) are the truth; `member_rfm` is where each member
stands by them, and can be made again from them at any time.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Index, Integer, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared.tables import add_technical_tables

_registry = registry()
metadata = _registry.metadata


class Base(SQLModel, registry=_registry):
    """Base of this service's tables, apart from those of other services in the same process."""


def _moment(*, null: bool = False) -> Any:
    return Field(
        default=None if null else ..., sa_column=Column(DateTime(timezone=True), nullable=null)
    )


def _words(*, null: bool = False, primary_key: bool = False) -> Any:
    return Field(
        default=None if null else ...,
        sa_column=Column(Text, nullable=null, primary_key=primary_key),
    )


def _amount() -> Any:
    return Field(default=0, sa_type=BigInteger)


def _cuts() -> Any:
    return Field(sa_column=Column(ARRAY(BigInteger), nullable=False))


class OrderFact(Base, table=True):
    """A paid order, as loyalty reported it."""

    __tablename__ = "order_facts"
    __table_args__ = (
        CheckConstraint("paid_fen >= 0 and refunded_fen >= 0", name="order_fact_amounts"),
        Index("order_facts_by_member", "member_id", "paid_day"),
    )

    order_id: str = _words(primary_key=True)
    member_id: str = _words()
    paid_at: datetime = _moment()
    #: The business day of `paid_at`.
    paid_day: date
    paid_fen: int = _amount()
    #: What an imported history says had gone back, without saying when.
    refunded_fen: int = _amount()
    recorded_at: datetime = _moment()


class RefundFact(Base, table=True):
    """One refund. No foreign key: it may come before its order."""

    __tablename__ = "refund_facts"
    __table_args__ = (
        CheckConstraint("amount_fen >= 0", name="refund_fact_amount"),
        Index("refund_facts_by_member", "member_id"),
    )

    refund_id: str = _words(primary_key=True)
    order_id: str = _words()
    member_id: str = _words()
    amount_fen: int = _amount()
    refunded_at: datetime = _moment()
    #: The business day of `refunded_at`.
    refunded_day: date
    recorded_at: datetime = _moment()


class Member(Base, table=True):
    """A member we have heard of."""

    __tablename__ = "members"

    member_id: str = _words(primary_key=True)
    #: The business day of enrolment or of the first order, whichever is earlier: imported
    #: customers were customers long before they were imported.
    since_day: date
    recorded_at: datetime = _moment()


class MemberRfm(Base, table=True):
    """Where a member stands now: measures, scores and segments, always changed together."""

    __tablename__ = "member_rfm"
    __table_args__ = (
        CheckConstraint("state in ('prospect', 'lapsed', 'active')", name="rfm_state"),
        CheckConstraint("frequency >= 0 and monetary_fen >= 0", name="rfm_measures"),
        CheckConstraint("(state = 'prospect') = (last_day is null)", name="rfm_prospect"),
        CheckConstraint("(state = 'active') = (frequency > 0)", name="rfm_active"),
        CheckConstraint(
            "(state = 'active') = (r is not null) and (r is null) = (f is null)"
            " and (r is null) = (m is null)",
            name="rfm_scored",
        ),
        CheckConstraint(
            "r between 1 and 5 and f between 1 and 5 and m between 1 and 5", name="rfm"
        ),
        Index(
            "member_rfm_unscored",
            "unscored_since",
            postgresql_where=sql("unscored_since is not null"),
        ),
        {"postgresql_with": {"fillfactor": 70}},
    )

    member_id: str = _words(primary_key=True)
    #: The business day to whose end the measures look.
    as_of: date
    #: The business day of the last valid order, in the window or before it.
    last_day: date | None = None
    frequency: int = Field(default=0, sa_type=Integer)
    monetary_fen: int = _amount()
    state: str = _words()
    r: int | None = None
    f: int | None = None
    m: int | None = None
    segment: str = _words()
    segment_11: str = _words()
    segment_group: str | None = _words(null=True)
    #: The thresholds that gave the scores; None until the first scoring.
    threshold_set_id: str | None = _words(null=True)
    #: How often the member has moved.
    version: int = Field(default=0, sa_type=Integer)
    #: Since when imported orders wait for a run to score them.
    unscored_since: datetime | None = _moment(null=True)
    updated_at: datetime = _moment()


class SegmentSnapshot(Base, table=True):
    """Where a member stood from one move to the next. Before the first it was a prospect."""

    __tablename__ = "segment_snapshots"
    __table_args__ = (
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="snapshot_span"),
        Index("segment_snapshots_by_time", "valid_from"),
    )

    member_id: str = _words(primary_key=True)
    version: int = Field(primary_key=True)
    valid_from: datetime = _moment()
    #: None while it holds.
    valid_to: datetime | None = _moment(null=True)
    as_of: date
    segment: str = _words()
    segment_11: str = _words()
    segment_group: str | None = _words(null=True)
    last_day: date | None = None
    frequency: int = Field(sa_type=Integer)
    monetary_fen: int = _amount()
    r: int | None = None
    f: int | None = None
    m: int | None = None
    #: order, refund, import, night or run.
    cause: str = _words()
    threshold_set_id: str = _words()


class ThresholdSet(Base, table=True):
    """Cut points of a population as of a day, and the mean of the scores they give."""

    __tablename__ = "threshold_sets"
    __table_args__ = (
        CheckConstraint("method in ('quantile', 'fixed')", name="threshold_method"),
        CheckConstraint(
            "in_force_until is null or in_force_from is not null", name="threshold_in_force"
        ),
        # At most one set is in force at a time.
        Index(
            "threshold_set_in_force",
            sql("(true)"),
            unique=True,
            postgresql_where=sql("in_force_from is not null and in_force_until is null"),
        ),
    )

    id: str = _words(primary_key=True)
    as_of: date
    method: str = _words()
    reason: str = _words()
    #: Active members.
    population: int = Field(sa_type=BigInteger)
    recency_cuts_days: list[int] = _cuts()
    frequency_cuts: list[int] = _cuts()
    monetary_cuts_fen: list[int] = _cuts()
    #: Members scored, and the sums of their scores.
    scored: int = Field(sa_type=BigInteger)
    r_sum: int = Field(sa_type=BigInteger)
    f_sum: int = Field(sa_type=BigInteger)
    m_sum: int = Field(sa_type=BigInteger)
    made_at: datetime = _moment()
    #: When live events began and ceased to be scored by it; None for sets of past days.
    in_force_from: datetime | None = _moment(null=True)
    in_force_until: datetime | None = _moment(null=True)


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

    id: str = _words(primary_key=True)
    as_of: date
    cause: str = _words()
    state: str = _words()
    #: Whether it moves the members: it was of the day on which it ran. None before it has begun.
    live: bool | None = None
    total: int = Field(default=0, sa_type=BigInteger)
    scored: int = Field(default=0, sa_type=BigInteger)
    moved: int = Field(default=0, sa_type=BigInteger)
    #: The last member scored, in order of ids.
    last_member_id: str = Field(default="", sa_type=Text)
    threshold_set_id: str | None = _words(null=True)
    #: Whether facts of its day or before came after it had looked.
    outdated: bool = False
    #: The name of what made it fail.
    error: str | None = _words(null=True)
    actor: str = _words()
    created_at: datetime = _moment()
    started_at: datetime | None = _moment(null=True)
    finished_at: datetime | None = _moment(null=True)


class SegmentSize(Base, table=True):
    """How many members a run found in a segment, and what they had bought."""

    __tablename__ = "segment_sizes"
    __table_args__ = (
        CheckConstraint("scheme in ('segment', 'segment_11', 'group')", name="size_scheme"),
    )

    run_id: str = _words(primary_key=True)
    scheme: str = _words(primary_key=True)
    #: A segment's code; `none` for members in no group.
    code: str = _words(primary_key=True)
    size: int = Field(sa_type=BigInteger)
    orders: int = Field(sa_type=BigInteger)
    monetary_fen: int = Field(sa_type=BigInteger)


add_technical_tables(metadata)

#: The same tables for statements past the ORM.
order_facts = metadata.tables["order_facts"]
refund_facts = metadata.tables["refund_facts"]
members = metadata.tables["members"]
member_rfm = metadata.tables["member_rfm"]
segment_snapshots = metadata.tables["segment_snapshots"]
threshold_sets = metadata.tables["threshold_sets"]
segment_runs = metadata.tables["segment_runs"]
segment_sizes = metadata.tables["segment_sizes"]
