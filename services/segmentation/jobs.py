"""What falls due here: nights, imports that have gone quiet, runs to be taken further."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from services.segmentation.operations.runs import NIGHT_HOUR, advance, plan_import_run, plan_night
from services.segmentation.store.standings import last_unscored_at
from shared.jobs import Job
from shared.kernel.clock import business_day, business_day_start

_PLAN_EVERY_S: Final = 5.0
_ADVANCE_EVERY_S: Final = 1.0


def segmentation_jobs(*, import_quiet: timedelta) -> Sequence[Job]:
    """All jobs of this service. Any number of replicas may run them."""
    return (
        Job(name="plan_night_run", every_s=_PLAN_EVERY_S, step=plan_night, next_due=_next_night),
        Job(
            name="plan_import_run",
            every_s=_PLAN_EVERY_S,
            step=partial(plan_import_run, quiet=import_quiet),
            next_due=partial(_next_quiet, quiet=import_quiet),
        ),
        Job(name="advance_segment_run", every_s=_ADVANCE_EVERY_S, step=advance),
    )


async def _next_night(_session: AsyncSession, after: datetime) -> datetime:
    night = business_day_start(business_day(after)) + timedelta(hours=NIGHT_HOUR)
    return night if night > after else night + timedelta(days=1)


async def _next_quiet(
    session: AsyncSession, after: datetime, *, quiet: timedelta
) -> datetime | None:
    """When imported orders will have waited long enough without others following."""
    newest = await last_unscored_at(session)
    if newest is None or newest + quiet <= after:
        return None
    return newest + quiet
