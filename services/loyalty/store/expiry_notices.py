"""Notices of expiry: who needs one, what was told, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Row, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.expiry_notices import Notice, NoticeState
from services.loyalty.store.programme import current_programme
from services.loyalty.store.tables import ExpiryNotice, ExpiryNoticeFailure, ExpiryNoticeLot
from shared.sql import execute

_ALONE: Final = text("select pg_try_advisory_xact_lock(hashtextextended('announce_expiries', 0))")
# Lots that are still pending are told of as well when they lapse on the same day.
_UNTOLD: Final = text(
    """
    with due as (
      select distinct member_id, expires_at from (
        select lots.member_id, lots.expires_at from point_lots as lots
        join members on members.id = lots.member_id and members.state = 'active'
        where lots.state = 'available' and lots.remaining > 0
          and lots.expires_at between :earliest and :latest
          and not exists (
            select from expiry_notice_lots as told
            where told.member_id = lots.member_id and told.lot_id = lots.id
              and told.expires_at = lots.expires_at and told.points >= lots.remaining)
        order by lots.expires_at limit :limit
      ) as untold
    )
    select member_id, expires_at,
      json_object_agg(lots.id, lots.remaining order by lots.id)::text as lots
    from due join point_lots as lots using (member_id, expires_at)
    where lots.remaining > 0 and lots.state in ('available', 'pending')
    group by member_id, expires_at order by expires_at, member_id
    """
)
_NEXT: Final = text(
    """
    select min(expires_at) from point_lots as lots
    join members on members.id = lots.member_id and members.state = 'active'
    where lots.state in ('available', 'pending') and remaining > 0 and expires_at > :beyond
    """
)
# What lapsed under a notice is used up: points that come back to the lot later were not told of.
_TOLD: Final = text(
    """
    select notices.*, (
      select json_object_agg(told.lot_id, told.points - coalesce((
        select -sum(parts.points) from point_entries as entries
        join lot_allocations as parts
          on parts.member_id = entries.member_id and parts.entry_seq = entries.seq
        where entries.cause_kind = 'expiry_notice' and entries.cause_id = told.notice_id
          and parts.lot_id = told.lot_id
      ), 0)::bigint)
      from expiry_notice_lots as told where told.notice_id = notices.id
    )::text as lots
    from expiry_notices as notices
    where member_id = any(:member_ids) and expires_at between :since and :now
    order by id
    """
)
_CLOSE: Final = text(
    """
    update expiry_notices set state = 'closed' where id in (
      select id from expiry_notices
      where state in ('announced', 'failed') and expires_at <= :now
      order by expires_at limit :limit for update skip locked)
    """
)


@dataclass(frozen=True, kw_only=True)
class Untold:
    """Points of a member that lapse together, of which no notice speaks in full."""

    member_id: str
    expires_at: datetime
    lots: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class NoticeView:
    """A notice with the lots it speaks of and the channels that failed."""

    notice: ExpiryNotice
    lots: Sequence[ExpiryNoticeLot]
    failures: Sequence[ExpiryNoticeFailure]


async def announce_alone(session: AsyncSession) -> bool:
    """Whether this transaction is the only one that makes notices; it stays so until commit."""
    return bool((await execute(session, _ALONE)).scalar_one())


async def untold_expiries(
    session: AsyncSession, *, earliest: datetime, latest: datetime, limit: int
) -> Sequence[Untold]:
    """Some points that lapse between two moments and that no notice covers, soonest first."""
    found = await execute(
        session, _UNTOLD, {"earliest": earliest, "latest": latest, "limit": limit}
    )
    return [
        Untold(member_id=row.member_id, expires_at=row.expires_at, lots=orjson.loads(row.lots))
        for row in found
    ]


async def next_announcement(session: AsyncSession, now: datetime) -> datetime | None:
    """The next moment at which a notice falls due; None when none will."""
    ahead = timedelta(days=(await current_programme(session, now=now)).lots.notice_days)
    found = (await execute(session, _NEXT, {"beyond": now + ahead})).scalar_one()
    return None if found is None else found - ahead


async def add_notices(
    session: AsyncSession, notices: Sequence[ExpiryNotice], lots: Sequence[ExpiryNoticeLot]
) -> None:
    """Put notices and what they cover on record."""
    session.add_all([*notices, *lots])
    await session.flush()


async def notices_of(
    session: AsyncSession, *, member_ids: Sequence[str], since: datetime, now: datetime
) -> Mapping[str, list[Notice]]:
    """Members' notices of days from `since` to now, by member, oldest first."""
    found = await execute(
        session, _TOLD, {"member_ids": list(member_ids), "since": since, "now": now}
    )
    by_member: dict[str, list[Notice]] = {}
    for row in found:
        by_member.setdefault(row.member_id, []).append(_notice(row))
    return by_member


async def close_notices(session: AsyncSession, *, now: datetime, limit: int) -> int:
    """Close some undelivered notices whose day is past; how many."""
    return (await execute(session, _CLOSE, {"now": now, "limit": limit})).rowcount


async def lock_notice(session: AsyncSession, *, notice_id: str) -> ExpiryNotice | None:
    """A notice that nobody else changes until commit; None when there is none."""
    return await session.get(ExpiryNotice, notice_id, with_for_update=True)


async def find_failure(
    session: AsyncSession, *, notice_id: str, channel: str
) -> ExpiryNoticeFailure | None:
    """What went wrong with a notice on a channel."""
    return await session.get(ExpiryNoticeFailure, (notice_id, channel))


async def save_outcome(
    session: AsyncSession, notice: ExpiryNotice, *, failure: ExpiryNoticeFailure | None = None
) -> None:
    """Write what became of a notice."""
    session.add_all([notice] if failure is None else [notice, failure])
    await session.flush()


async def list_notices(
    session: AsyncSession,
    *,
    member_id: str | None,
    state: NoticeState | None,
    before: str | None,
    limit: int,
) -> Sequence[NoticeView]:
    """Notices, newest first, those older than `before`, with all that belongs to them."""
    conditions: list[ColumnElement[bool]] = []
    if member_id is not None:
        conditions.append(col(ExpiryNotice.member_id) == member_id)
    if state is not None:
        conditions.append(col(ExpiryNotice.state) == state)
    if before is not None:
        conditions.append(col(ExpiryNotice.id) < before)
    newest = col(ExpiryNotice.id).desc()
    wanted = select(ExpiryNotice).where(*conditions).order_by(newest).limit(limit)
    notices = (await session.exec(wanted)).all()
    ids = [notice.id for notice in notices]
    of_lots = select(ExpiryNoticeLot).where(col(ExpiryNoticeLot.notice_id).in_(ids))
    lots = (await session.exec(of_lots.order_by(col(ExpiryNoticeLot.lot_id)))).all()
    of_failures = select(ExpiryNoticeFailure).where(col(ExpiryNoticeFailure.notice_id).in_(ids))
    failures = (await session.exec(of_failures.order_by(col(ExpiryNoticeFailure.failed_at)))).all()
    return [
        NoticeView(
            notice=notice,
            lots=[one for one in lots if one.notice_id == notice.id],
            failures=[one for one in failures if one.notice_id == notice.id],
        )
        for notice in notices
    ]


def _notice(row: Row[Any]) -> Notice:
    return Notice(
        id=row.id,
        expires_at=row.expires_at,
        deliver_by=row.deliver_by,
        delivered_at=row.delivered_at,
        lots=orjson.loads(row.lots or "{}"),
    )
