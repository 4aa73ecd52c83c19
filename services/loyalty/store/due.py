"""When work falls due next, for a sandbox that moves its clock: the `next_due` of the jobs.

Each answer is later than the moment given; what is due by then has been done by the job itself.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import TextClause, text
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.sql import execute

#: A job's page is of members, of whom one may have any number of things that are due. So many are
#: looked at for a page, longest due first: by index, however many there are.
LOOKED_AT: Final = 5_000

_MICROSECOND: Final = timedelta(microseconds=1)
_RELEASE: Final = text(
    "select min(available_at) from point_lots where state = 'pending' and available_at > :after"
)
_STALE_RESERVATION: Final = text(
    "select min(expires_at) from reservations where state = 'held' and expires_at > :after"
)
_LAPSING_VOUCHER: Final = text(
    "select min(expires_at) from vouchers where state = 'issued' and expires_at > :after"
)
_SILENT_IMPORT: Final = text(
    "select min(touched_at) from imports where state = 'receiving' and touched_at >= :after"
)


async def next_release(session: AsyncSession, after: datetime) -> datetime | None:
    """When the next pending lot becomes available."""
    return await _earliest(session, _RELEASE, after)


async def next_stale_reservation(session: AsyncSession, after: datetime) -> datetime | None:
    """When the next reservation's time is over."""
    return await _earliest(session, _STALE_RESERVATION, after)


async def next_lapsing_voucher(session: AsyncSession, after: datetime) -> datetime | None:
    """When the next unused voucher lapses."""
    return await _earliest(session, _LAPSING_VOUCHER, after)


async def next_silent_import(
    session: AsyncSession, after: datetime, *, silence: timedelta
) -> datetime | None:
    """When the next upload that is still open will have been silent for longer than that."""
    touched = await _earliest(session, _SILENT_IMPORT, after - silence)
    return None if touched is None else touched + silence + _MICROSECOND


async def _earliest(
    session: AsyncSession, statement: TextClause, after: datetime
) -> datetime | None:
    found: datetime | None = (await execute(session, statement, {"after": after})).scalar_one()
    return found
