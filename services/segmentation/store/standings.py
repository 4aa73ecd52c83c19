"""Where members stand now (`member_rfm`) and where they stood before (`segment_snapshots`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, Select, any_, func, select, text, update
from sqlmodel.ext.asyncio.session import AsyncSession

from services.segmentation.domain.rfm import Measures
from services.segmentation.domain.scoring import Scores
from services.segmentation.domain.segments import Classification, Group, Segment, Segment11
from services.segmentation.domain.standings import Standing
from services.segmentation.store.measures import SOME_MEMBERS, measured, measures_in
from services.segmentation.store.tables import member_rfm, members
from shared.sql import execute

# One statement for any number of members: where they stand now, and snapshots of those who moved.
_SAVE: Final = text(
    """
    with given as (
      select * from unnest(
        cast(:member_ids as text[]), cast(:last_days as date[]), cast(:frequencies as int[]),
        cast(:monetary_fen as bigint[]), cast(:states as text[]),
        cast(:r as int[]), cast(:f as int[]), cast(:m as int[]),
        cast(:segments as text[]), cast(:segments_11 as text[]), cast(:groups as text[])
      ) as given(member_id, last_day, frequency, monetary_fen, state, r, f, m,
                 segment, segment_11, segment_group)
    ), saved as (
      update member_rfm as row
      set as_of = cast(:as_of as date), last_day = given.last_day, frequency = given.frequency,
          monetary_fen = given.monetary_fen, state = given.state,
          r = given.r, f = given.f, m = given.m,
          segment = given.segment, segment_11 = given.segment_11,
          segment_group = given.segment_group, threshold_set_id = cast(:threshold_set_id as text),
          version = row.version + cast(given.member_id = any(cast(:moved as text[])) as int),
          unscored_since = null, updated_at = cast(:now as timestamptz)
      from given where row.member_id = given.member_id
      returning row.*
    ), closed as (
      update segment_snapshots set valid_to = greatest(valid_from, cast(:now as timestamptz))
      where valid_to is null and member_id = any(cast(:moved as text[]))
    )
    insert into segment_snapshots
      (member_id, version, valid_from, as_of, segment, segment_11, segment_group,
       last_day, frequency, monetary_fen, r, f, m, cause, threshold_set_id)
    select member_id, version, cast(:now as timestamptz), as_of, segment, segment_11, segment_group,
           last_day, frequency, monetary_fen, r, f, m, cast(:cause as text), threshold_set_id
    from saved where member_id = any(cast(:moved as text[]))
    """
)


def _present_statement() -> Select[Any]:
    of_some = measured(of_some=True)
    return (
        select(
            member_rfm.c.member_id,
            member_rfm.c.segment,
            member_rfm.c.segment_11,
            member_rfm.c.segment_group,
            of_some.c.recency_days,
            of_some.c.frequency,
            of_some.c.monetary_fen,
        )
        .outerjoin(of_some, of_some.c.member_id == member_rfm.c.member_id)
        .where(member_rfm.c.member_id == any_(SOME_MEMBERS))
        .order_by(member_rfm.c.member_id)
    )


_PRESENT: Final = _present_statement()


@dataclass(frozen=True, kw_only=True)
class LiveStanding:
    """A member's live row: the standing, to the end of which day, by which thresholds."""

    standing: Standing
    as_of: date
    threshold_set_id: str | None
    #: Imported orders wait to be counted in.
    unscored: bool


@dataclass(frozen=True, kw_only=True)
class PresentMember:
    """Where a member was put last, and its measures by all the facts there are now."""

    member_id: str
    classification: Classification
    measures: Measures


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """New standings of some members, all as of one day by one set of thresholds."""

    standings: Mapping[str, Standing]
    moved: Sequence[str]
    as_of: date
    threshold_set_id: str
    cause: str
    now: datetime


async def live_standing(session: AsyncSession, *, member_id: str) -> LiveStanding | None:
    """Where one member stands; None when it is unknown or the person is gone."""
    gone = select(members).where(
        members.c.member_id == member_rfm.c.member_id, members.c.erased_at.is_not(None)
    )
    wanted = select(member_rfm).where(member_rfm.c.member_id == member_id, ~gone.exists())
    found = await execute(session, wanted)
    row = found.one_or_none()
    return None if row is None else _live(row)


async def present_members(
    session: AsyncSession, *, member_ids: Sequence[str], as_of: date
) -> Sequence[PresentMember]:
    """The present segments of these members and what their facts say; unknown ones left out."""
    parameters = {"as_of": as_of, "member_ids": list(member_ids)}
    rows = await execute(session, _PRESENT, parameters)
    return [
        PresentMember(
            member_id=row.member_id,
            classification=_classification(row),
            measures=measures_in(row),
        )
        for row in rows
    ]


async def save_standings(session: AsyncSession, *, rescored: Rescored) -> None:
    """Write where members stand now, and a snapshot of each who moved."""
    rows = list(rescored.standings.items())
    scores = [standing.scores for _, standing in rows]
    classified = [standing.classification for _, standing in rows]
    await execute(
        session,
        _SAVE,
        {
            "member_ids": [member_id for member_id, _ in rows],
            "last_days": [_last_day(one.measures, as_of=rescored.as_of) for _, one in rows],
            "frequencies": [one.measures.frequency for _, one in rows],
            "monetary_fen": [one.measures.monetary_fen for _, one in rows],
            "states": [one.measures.state.value for _, one in rows],
            "r": [one.r if one else None for one in scores],
            "f": [one.f if one else None for one in scores],
            "m": [one.m if one else None for one in scores],
            "segments": [one.segment.value for one in classified],
            "segments_11": [one.segment_11.value for one in classified],
            "groups": [one.group.value if one.group else None for one in classified],
            "moved": list(rescored.moved),
            "as_of": rescored.as_of,
            "threshold_set_id": rescored.threshold_set_id,
            "cause": rescored.cause,
            "now": rescored.now,
        },
    )


async def mark_unscored(session: AsyncSession, *, member_ids: Sequence[str], now: datetime) -> None:
    """Note that these members have orders which the next run will count in."""
    await execute(
        session,
        update(member_rfm)
        .where(member_rfm.c.member_id == any_(SOME_MEMBERS))
        .values(unscored_since=now),
        {"member_ids": list(member_ids)},
    )


async def last_unscored_at(session: AsyncSession) -> datetime | None:
    """When imported orders last came in that still wait for a run; None when none do."""
    newest: datetime | None = (
        await execute(
            session,
            select(func.max(member_rfm.c.unscored_since)).where(
                member_rfm.c.unscored_since.is_not(None)
            ),
        )
    ).scalar_one()
    return newest


async def members_after(session: AsyncSession, *, member_id: str, limit: int) -> list[str]:
    """The next members in order of ids."""
    rows = await execute(
        session,
        select(member_rfm.c.member_id)
        .where(member_rfm.c.member_id > member_id)
        .order_by(member_rfm.c.member_id)
        .limit(limit),
    )
    return list(rows.scalars())


def _last_day(measures: Measures, *, as_of: date) -> date | None:
    if measures.recency_days is None:
        return None
    return as_of - timedelta(days=measures.recency_days)


def _live(row: Row[Any]) -> LiveStanding:
    measures = Measures(
        recency_days=None if row.last_day is None else (row.as_of - row.last_day).days,
        frequency=row.frequency,
        monetary_fen=row.monetary_fen,
    )
    return LiveStanding(
        standing=Standing(
            measures=measures,
            scores=None if row.r is None else Scores(r=row.r, f=row.f, m=row.m),
            classification=_classification(row),
        ),
        as_of=row.as_of,
        threshold_set_id=row.threshold_set_id,
        unscored=row.unscored_since is not None,
    )


def _classification(row: Row[Any]) -> Classification:
    return Classification(
        segment=Segment(row.segment),
        segment_11=Segment11(row.segment_11),
        group=Group(row.segment_group) if row.segment_group else None,
    )
