"""Where a member stands when two are merged, and when that is taken back."""

from dataclasses import dataclass
from datetime import datetime

from services.loyalty.domain.programme import Programme
from services.loyalty.domain.tiers import Standing, after_growth, after_refund
from shared.kernel.records import replace


@dataclass(frozen=True, kw_only=True)
class OwnGrowth:
    """A member's growth in the window of the present, and what is left of that of a past one."""

    now: int
    then: int


def merged_standing(
    target: Standing, source: Standing, *, programme: Programme, now: datetime
) -> Standing:
    """The higher tier stays, with its floor and its end; of two equal ones the later end.

    Growth adds up and may lift the tier further, at once.
    """
    target_rank, source_rank = _rank(target, programme), _rank(source, programme)
    kept = target if target_rank >= source_rank else source
    if target_rank == source_rank:
        floor = max(target, source, key=lambda one: programme.tier(one.floor_code).growth)
        kept = replace(
            target,
            floor_code=floor.floor_code,
            since=min(target.since, source.since),
            valid_until=_later(target.valid_until, source.valid_until),
        )
    growth = target.growth + source.growth
    return after_growth(replace(kept, growth=growth), growth=growth, programme=programme, now=now)


def restored_standing(
    before: Standing, *, growth: OwnGrowth, programme: Programme, now: datetime
) -> Standing:
    """The standing before the merge, less what refunds undid since, with what was earned since."""
    kept = after_refund(
        before, growth=min(growth.then, before.growth), programme=programme, now=now
    )
    return after_growth(kept, growth=growth.now, programme=programme, now=now)


def _rank(standing: Standing, programme: Programme) -> int:
    return programme.tiers.index(programme.tier(standing.tier_code))


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else max(one, other)
