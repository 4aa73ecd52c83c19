"""The programme in force, read with what it is needed for."""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.programme import Programme, read_programme
from shared.sql import execute

#: The version in force at `:now`, as a lateral table; its rules are parsed once per process.
PROGRAMME_IN_FORCE: Final = """
    lateral (
      select version, rules::text as rules from programme_versions
      where published_at <= :now order by version desc limit 1
    )
"""

#: From when on growth counts by a version's `rules`, in SQL: what
#: domain.programme.growth_window_start says in Python, and the beginning of time for all of it.
GROWTH_COUNTS_SINCE: Final = """
    coalesce((date_trunc('day', cast(:now as timestamptz) at time zone 'Asia/Shanghai')
      - make_interval(months => (rules -> 'growth' ->> 'window_months')::int)
    ) at time zone 'Asia/Shanghai', '-infinity')
"""

#: Until when activity at `:now` makes a lot of `activity_months` good, in SQL; null under another
#: policy. What domain.activity says in Python.
RENEWED_UNTIL: Final = """
    ((date_trunc('month', cast(:now as timestamptz) at time zone 'Asia/Shanghai'
        + make_interval(months => activity_months)) + interval '1 month')
      at time zone 'Asia/Shanghai')
"""

_IN_FORCE: Final = text(f"select version, rules from {PROGRAMME_IN_FORCE} as programme")  # noqa: S608


async def current_programme(session: AsyncSession, *, now: datetime) -> Programme:
    """The version in force."""
    row = (await execute(session, _IN_FORCE, {"now": now})).one()
    return read_programme(row.version, row.rules)
