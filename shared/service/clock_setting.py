"""How a sandbox's clock is set, in the service's own database; and where its event log stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.kernel.clock import ClockSetting
from shared.sql import execute
from shared.tables import event_cursors, feed_head, outbox, test_clock

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Places:
    """How far a service's log has come, and how far it has applied those of others."""

    head: int
    unsequenced: int
    cursors: Mapping[str, int]


async def read_setting(session: AsyncSession, *, lock: bool = False) -> ClockSetting | None:
    """The setting, None if the clock was never moved; with `lock`, nobody changes it meanwhile."""
    wanted = select(test_clock).with_for_update() if lock else select(test_clock)
    row = (await execute(session, wanted)).one_or_none()
    if row is None:
        return None
    return ClockSetting(
        revision=row.revision,
        offset=row.offset_us * _MICROSECOND,
        at=row.at,
        standing=row.standing,
    )


async def keep_setting(
    session: AsyncSession, *, at: datetime, standing: bool, offset: timedelta = timedelta(0)
) -> ClockSetting:
    """Write a setting; its revision is the next."""
    offset_us = offset // _MICROSECOND
    values = {"offset_us": offset_us, "at": at, "standing": standing}
    kept = await execute(
        session,
        insert(test_clock)
        .values(revision=1, **values)
        .on_conflict_do_update(
            index_elements=[test_clock.c.one],
            set_={**values, "revision": test_clock.c.revision + 1},
        )
        .returning(test_clock.c.revision),
    )
    return ClockSetting(
        revision=kept.scalar_one(), offset=offset_us * _MICROSECOND, at=at, standing=standing
    )


async def read_places(session: AsyncSession) -> Places:
    """Where the log and the subscriptions stand, in one look at each."""
    pending = (
        select(func.count()).select_from(outbox).where(outbox.c.pos.is_(None)).scalar_subquery()
    )
    log = (await execute(session, select(feed_head.c.pos, pending.label("pending")))).one()
    cursors = await execute(session, select(event_cursors.c.producer, event_cursors.c.pos))
    return Places(
        head=log.pos,
        unsequenced=log.pending,
        cursors={row.producer: row.pos for row in cursors},
    )
