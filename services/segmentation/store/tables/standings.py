"""Where members stand and stood, and by which thresholds."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from services.segmentation.store.tables.base import Base, amount, moment, words


def _cuts() -> Any:
    return Field(sa_column=Column(ARRAY(BigInteger), nullable=False))


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

    member_id: str = words(primary_key=True)
    #: The business day to whose end the measures look.
    as_of: date
    #: The business day of the last valid order, in the window or before it.
    last_day: date | None = None
    frequency: int = Field(default=0, sa_type=Integer)
    monetary_fen: int = amount()
    state: str = words()
    r: int | None = None
    f: int | None = None
    m: int | None = None
    segment: str = words()
    segment_11: str = words()
    segment_group: str | None = words(null=True)
    #: The thresholds that gave the scores; None until the first scoring.
    threshold_set_id: str | None = words(null=True)
    #: How often the member has moved.
    version: int = Field(default=0, sa_type=Integer)
    #: Since when imported orders wait for a run to score them.
    unscored_since: datetime | None = moment(null=True)
    updated_at: datetime = moment()


class SegmentSnapshot(Base, table=True):
    """Where a member stood from one move to the next. Before the first it was a prospect."""

    __tablename__ = "segment_snapshots"
    __table_args__ = (
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="snapshot_span"),
        Index("segment_snapshots_by_time", "valid_from"),
    )

    member_id: str = words(primary_key=True)
    version: int = Field(primary_key=True)
    valid_from: datetime = moment()
    #: None while it holds.
    valid_to: datetime | None = moment(null=True)
    as_of: date
    segment: str = words()
    segment_11: str = words()
    segment_group: str | None = words(null=True)
    last_day: date | None = None
    frequency: int = Field(sa_type=Integer)
    monetary_fen: int = amount()
    r: int | None = None
    f: int | None = None
    m: int | None = None
    #: order, refund, import, night or run.
    cause: str = words()
    threshold_set_id: str = words()


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

    id: str = words(primary_key=True)
    as_of: date
    method: str = words()
    reason: str = words()
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
    made_at: datetime = moment()
    #: When live events began and ceased to be scored by it; None for sets of past days.
    in_force_from: datetime | None = moment(null=True)
    in_force_until: datetime | None = moment(null=True)
