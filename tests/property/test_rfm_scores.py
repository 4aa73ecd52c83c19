"""Laws of scores: whatever the population, these hold."""

from collections import Counter
from datetime import date

from hypothesis import example, given
from hypothesis import strategies as st

from services.segmentation.domain.rfm import Measures
from services.segmentation.domain.scoring import (
    MIN_POPULATION,
    Method,
    PopulationFacts,
    fixed_thresholds,
    population_scores,
    population_thresholds,
    quantile_cuts,
    score,
    score_by_cuts,
)

TODAY = date(2026, 11, 23)
LEVELS = st.integers(3, 10)
#: Few distinct values make heavy ties, as one-time buyers do; many make none.
VALUES = st.one_of(
    st.lists(st.integers(-3, 3), min_size=1, max_size=80),
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=80),
)
ACTIVE = st.builds(
    Measures,
    recency_days=st.integers(0, 364),
    frequency=st.one_of(st.just(1), st.integers(1, 40)),
    monetary_fen=st.integers(1, 10**9),
)


@given(values=VALUES, levels=LEVELS)
@example(values=[7], levels=5)
def test_cuts_give_the_same_scores_as_places_in_the_population(
    values: list[int], levels: int
) -> None:
    cuts = quantile_cuts(values=values, levels=levels)
    by_cuts = [score_by_cuts(value=value, cuts=cuts) for value in values]
    assert by_cuts == population_scores(values=values, levels=levels)


@given(values=VALUES, levels=LEVELS)
def test_a_score_is_one_plus_the_levels_times_the_share_of_those_strictly_worse(
    values: list[int], levels: int
) -> None:
    expected = [1 + levels * sum(w < v for w in values) // len(values) for v in values]
    assert population_scores(values=values, levels=levels) == expected


@given(values=VALUES, levels=LEVELS)
def test_scores_are_within_range_and_the_worst_scores_one(values: list[int], levels: int) -> None:
    scores = population_scores(values=values, levels=levels)
    assert all(1 <= one <= levels for one in scores)
    assert scores[values.index(min(values))] == 1


@given(values=VALUES, levels=LEVELS)
def test_a_better_value_never_scores_less_and_equal_values_score_alike(
    values: list[int], levels: int
) -> None:
    scored = sorted(zip(values, population_scores(values=values, levels=levels), strict=True))
    assert [one for _, one in scored] == sorted(one for _, one in scored)
    assert len(dict(scored)) == len(set(scored))


@given(values=VALUES, data=st.data())
def test_the_order_of_rows_changes_nothing(values: list[int], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(values))
    assert quantile_cuts(values=shuffled) == quantile_cuts(values=values)
    before = dict(zip(values, population_scores(values=values), strict=True))
    assert before == dict(zip(shuffled, population_scores(values=shuffled), strict=True))


@given(values=VALUES, factor=st.integers(1, 10**6))
def test_scaling_all_values_changes_no_score(values: list[int], factor: int) -> None:
    scaled = [value * factor for value in values]
    assert population_scores(values=scaled) == population_scores(values=values)


@given(values=VALUES, worse_by=st.integers(0, 10), levels=LEVELS)
def test_one_more_worst_customer_lowers_nobody(
    values: list[int], worse_by: int, levels: int
) -> None:
    before = population_scores(values=values, levels=levels)
    after = population_scores(values=[*values, min(values) - worse_by], levels=levels)
    assert all(new >= old for old, new in zip(before, after, strict=False))


@given(values=VALUES, levels=LEVELS)
def test_a_score_holds_less_than_its_share_and_the_largest_tie(
    values: list[int], levels: int
) -> None:
    largest_tie = max(Counter(values).values())
    largest_score = max(Counter(population_scores(values=values, levels=levels)).values())
    assert levels * largest_score < len(values) + levels * largest_tie


@given(values=VALUES, levels=LEVELS)
def test_values_that_are_all_different_split_as_evenly_as_can_be(
    values: list[int], levels: int
) -> None:
    distinct = list(set(values))
    sizes = Counter(population_scores(values=distinct, levels=levels))
    each = len(distinct) // levels
    assert all(each <= sizes[one] <= each + 1 for one in range(1, levels + 1))


@given(few=st.lists(ACTIVE, min_size=1, max_size=20), data=st.data())
def test_a_large_population_is_scored_by_place_in_all_three_dimensions(
    few: list[Measures], data: st.DataObject
) -> None:
    copies = MIN_POPULATION // len(few) + 1
    members = data.draw(st.permutations(few)) * copies
    thresholds = population_thresholds(members=members, as_of=TODAY, history_days=365)
    assert thresholds.method is Method.quantile
    scores = [score(measures=member, thresholds=thresholds) for member in members]
    assert [(one.r, one.f, one.m) for one in scores if one is not None] == list(
        zip(
            population_scores(values=[-(m.recency_days or 0) for m in members]),
            population_scores(values=[m.frequency for m in members]),
            population_scores(values=[m.monetary_fen for m in members]),
            strict=True,
        )
    )


@given(members=st.lists(ACTIVE, max_size=30), newcomer=ACTIVE)
def test_a_small_population_of_any_size_yields_scores_for_any_member(
    members: list[Measures], newcomer: Measures
) -> None:
    thresholds = population_thresholds(members=members, as_of=TODAY, history_days=365)
    assert thresholds.method is Method.fixed
    for member in [*members, newcomer]:
        scores = score(measures=member, thresholds=thresholds)
        assert scores is not None
        assert {scores.r, scores.f, scores.m} <= {1, 2, 3, 4, 5}


@given(orders=st.integers(1, 10**6), monetary_fen=st.integers(1, 10**13), mine=st.integers(1))
def test_fixed_monetary_scores_compare_with_the_mean_order_without_rounding(
    orders: int, monetary_fen: int, mine: int
) -> None:
    facts = PopulationFacts(
        population=1, orders=orders, monetary_fen=monetary_fen, history_days=365
    )
    thresholds = fixed_thresholds(facts=facts, as_of=TODAY)
    reached = sum(2 * mine * orders >= halves * monetary_fen for halves in (1, 2, 4, 8))
    scores = score(measures=Measures(0, 1, mine), thresholds=thresholds)
    assert scores is not None
    assert scores.m == 1 + reached
