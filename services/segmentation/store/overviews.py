"""What there is to read: all segments with their sizes, and one member, now or as of a past day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from services.segmentation.domain.rfm import PROSPECT
from services.segmentation.domain.sizes import Scheme, Size
from services.segmentation.domain.standings import (
    Standing,
    ThresholdSet,
    first_threshold_set,
    stand,
)
from services.segmentation.store.measures import measures_of
from services.segmentation.store.populations import measure_population
from services.segmentation.store.runs import stored_run
from services.segmentation.store.sizes import live_sizes, run_sizes, unscored_members
from services.segmentation.store.standings import live_standing
from services.segmentation.store.thresholds import threshold_set, threshold_set_in_force


@dataclass(frozen=True, kw_only=True)
class Overview:
    """One scheme over all members."""

    threshold_set: ThresholdSet
    sizes: Sequence[Size]
    #: Members with imported orders that are not counted in yet.
    unscored: int


@dataclass(frozen=True, kw_only=True)
class MemberOverview:
    """One member's standing to the end of a day, and by which thresholds."""

    standing: Standing
    as_of: date
    threshold_set: ThresholdSet


async def live_overview(session: AsyncSession, *, scheme: Scheme, today: date) -> Overview:
    """As all members stand now."""
    return Overview(
        threshold_set=await _in_force(session, today=today),
        sizes=await live_sizes(session, scheme=scheme),
        unscored=await unscored_members(session),
    )


async def past_overview(
    session: AsyncSession, *, scheme: Scheme, as_of: date, now: datetime
) -> Overview:
    """As all members stood at the end of a past day, by all that is known of it now.

    A run that has kept that day answers at once; otherwise all is counted from the facts.
    """
    run = await stored_run(session, as_of=as_of)
    if run is not None and run.threshold_set_id is not None:
        kept = await threshold_set(session, id=run.threshold_set_id)
        sizes = await run_sizes(session, run_id=run.id, scheme=scheme)
        return Overview(threshold_set=kept, sizes=sizes, unscored=0)
    found = await measure_population(session, as_of=as_of, now=now)
    sizes = [size for size in found.sizes if size.scheme is scheme]
    return Overview(threshold_set=found.threshold_set, sizes=sizes, unscored=0)


async def live_member(
    session: AsyncSession, *, member_id: str, today: date
) -> MemberOverview | None:
    """As a member stands now; None when we have not heard of it.

    One with imported orders that wait for a run is shown with them counted in.
    """
    row = await live_standing(session, member_id=member_id)
    if row is None:
        return None
    if row.unscored:
        by = await _in_force(session, today=today)
        return await _stand(session, member_id=member_id, as_of=today, by=by)
    if row.threshold_set_id is None:
        by = await _in_force(session, today=today)
    else:
        by = await threshold_set(session, id=row.threshold_set_id)
    return MemberOverview(standing=row.standing, as_of=row.as_of, threshold_set=by)


async def past_member(
    session: AsyncSession, *, member_id: str, as_of: date, now: datetime
) -> MemberOverview | None:
    """As a member stood at the end of a past day among all members of then; None if unknown."""
    if await live_standing(session, member_id=member_id) is None:
        return None
    run = await stored_run(session, as_of=as_of)
    if run is not None and run.threshold_set_id is not None:
        by = await threshold_set(session, id=run.threshold_set_id)
    else:
        by = (await measure_population(session, as_of=as_of, now=now)).threshold_set
    return await _stand(session, member_id=member_id, as_of=as_of, by=by)


async def newcomer(session: AsyncSession, *, as_of: date) -> MemberOverview:
    """A member of whom nothing has been heard but that there is one."""
    by = await _in_force(session, today=as_of)
    return MemberOverview(standing=stand(measures=PROSPECT, by=by), as_of=as_of, threshold_set=by)


async def _stand(
    session: AsyncSession, *, member_id: str, as_of: date, by: ThresholdSet
) -> MemberOverview:
    measures = await measures_of(session, member_ids=[member_id], as_of=as_of)
    standing = stand(measures=measures[member_id], by=by)
    return MemberOverview(standing=standing, as_of=as_of, threshold_set=by)


async def _in_force(session: AsyncSession, *, today: date) -> ThresholdSet:
    """A read makes no set: before the first there is one in all but the table."""
    found = await threshold_set_in_force(session)
    return found or first_threshold_set(id="", as_of=today)
