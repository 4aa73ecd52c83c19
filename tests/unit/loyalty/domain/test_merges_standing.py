"""Tiers of two who become one, and two again."""

from datetime import UTC, datetime, timedelta

from services.loyalty.domain.merges_standing import OwnGrowth, merged_standing, restored_standing
from services.loyalty.domain.tiers import Standing
from tests.unit.loyalty.domain.programmes import programme

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
LATER = NOON + timedelta(days=40)
RULES = programme()


def standing(code: str, growth: int, *, days: int = 300, floor: str = "regular") -> Standing:
    until = None if code == "regular" else NOON + timedelta(days=days)
    return Standing(tier_code=code, floor_code=floor, since=NOON, valid_until=until, growth=growth)


def merged(target: Standing, source: Standing) -> Standing:
    return merged_standing(target, source, programme=RULES, now=LATER)


def restored(before: Standing, *, now: int, then: int) -> Standing:
    growth = OwnGrowth(now=now, then=then)
    return restored_standing(before, growth=growth, programme=RULES, now=LATER)


def test_the_higher_tier_stays_with_its_floor_and_its_end_whoever_has_it() -> None:
    gold, silver = standing("gold", 0, floor="silver"), standing("silver", 1_200, days=900)
    for one in (merged(gold, silver), merged(silver, gold)):
        assert (one.tier_code, one.floor_code, one.growth) == ("gold", "silver", 1_200)
        assert one.valid_until == gold.valid_until


def test_of_two_equal_tiers_the_later_end_and_the_higher_floor_stay() -> None:
    one, other = standing("silver", 100, days=10), standing("silver", 200, floor="silver")
    both = merged(one, other)
    assert (both.tier_code, both.floor_code, both.growth) == ("silver", "silver", 300)
    assert both.valid_until == other.valid_until


def test_growth_adds_up_and_lifts_at_once() -> None:
    both = merged(standing("regular", 600), standing("regular", 500))
    assert (both.tier_code, both.since) == ("silver", LATER)


def test_apart_again_each_stands_as_before() -> None:
    before = standing("gold", 5_100)
    assert restored(before, now=5_100, then=5_100) == before


def test_what_refunds_undid_meanwhile_is_lost_and_what_was_earned_counts() -> None:
    before = standing("silver", 1_200)
    assert restored(before, now=900, then=900).tier_code == "regular"
    assert restored(before, now=5_200, then=1_200).tier_code == "gold"


def test_growth_that_only_aged_meanwhile_takes_no_tier() -> None:
    before = standing("gold", 5_100)
    after = restored(before, now=0, then=5_100)
    assert (after.tier_code, after.valid_until, after.growth) == ("gold", before.valid_until, 0)
