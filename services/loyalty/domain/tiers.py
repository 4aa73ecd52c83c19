"""Where a member stands: the tier, what the next one needs, and what a refund may undo."""

from dataclasses import dataclass
from datetime import datetime

from services.loyalty.domain.programme import Programme, Tier, tier_period_end
from shared.kernel.records import replace


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A member's tier and the growth inside the present window.

    `floor_code` is the tier with which the present period began: refunds do not push below it.
    """

    tier_code: str
    floor_code: str
    since: datetime
    #: None in the lowest tier, which nobody can lose.
    valid_until: datetime | None
    growth: int


def first_standing(programme: Programme, *, now: datetime) -> Standing:
    """A newcomer's standing."""
    code = programme.tiers[0].code
    return Standing(tier_code=code, floor_code=code, since=now, valid_until=None, growth=0)


def after_growth(
    standing: Standing, *, growth: int, programme: Programme, now: datetime
) -> Standing:
    """The standing after growth came: up at once when it reaches further, never down."""
    grown = replace(standing, growth=growth)
    reached = programme.tier_for(growth)
    if _rank(programme, reached) <= _rank(programme, programme.tier(standing.tier_code)):
        return grown
    return _moved(grown, to=reached, programme=programme, now=now)


def after_refund(
    standing: Standing, *, growth: int, programme: Programme, now: datetime
) -> Standing:
    """The standing after growth was taken back: what the refund itself no longer supports is lost.

    The tier becomes the one that the remaining growth reaches, though not below the floor. A tier
    that growth had ceased to support before, by time alone, is kept until its period ends.
    """
    shrunk = replace(standing, growth=growth)
    present = programme.tier(standing.tier_code)
    if standing.growth < present.growth:
        return shrunk
    reached = max(
        programme.tier_for(growth),
        programme.tier(standing.floor_code),
        key=lambda tier: tier.growth,
    )
    if _rank(programme, reached) >= _rank(programme, present):
        return shrunk
    lowest = reached.code == programme.tiers[0].code
    return replace(
        shrunk,
        tier_code=reached.code,
        since=now,
        valid_until=None if lowest else standing.valid_until,
    )


def growth_needed(standing: Standing, *, programme: Programme) -> int | None:
    """Growth still missing for the next tier; None at the top."""
    above = programme.next_tier(standing.tier_code)
    return None if above is None else max(0, above.growth - standing.growth)


def keep_needed(standing: Standing, *, programme: Programme) -> int:
    """Growth still missing to keep the tier when its period ends."""
    return max(0, programme.tier(standing.tier_code).growth - standing.growth)


def _moved(standing: Standing, *, to: Tier, programme: Programme, now: datetime) -> Standing:
    until = tier_period_end(programme, since=now)
    return replace(standing, tier_code=to.code, since=now, valid_until=until)


def _rank(programme: Programme, tier: Tier) -> int:
    return programme.tiers.index(tier)
