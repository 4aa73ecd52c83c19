"""Thresholds and scores, by example."""

import math
from dataclasses import replace
from datetime import date

import pytest

from services.segmentation.domain.rfm import PROSPECT, Measures
from services.segmentation.domain.scoring import (
    Method,
    PopulationFacts,
    Reason,
    Scores,
    Thresholds,
    fixed_thresholds,
    population_scores,
    population_thresholds,
    quantile_cuts,
    score,
    score_by_cuts,
)

TODAY = date(2026, 11, 23)
LAPSED = Measures(recency_days=400, frequency=0, monetary_fen=0)
#: Member i of 500 bought i days ago; the more recent, the more often and the dearer.
FIVE_HUNDRED = [
    Measures(recency_days=i, frequency=500 - i, monetary_fen=1_000 * (500 - i)) for i in range(500)
]


def shop(*, population: int, orders: int = 0, monetary_fen: int = 0) -> PopulationFacts:
    return PopulationFacts(
        population=population, orders=orders, monetary_fen=monetary_fen, history_days=365
    )


def test_ten_different_values_fall_into_five_pairs() -> None:
    assert population_scores(values=list(range(10))) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert quantile_cuts(values=list(range(10))) == (1, 3, 5, 7)


def test_eight_one_time_buyers_of_ten_all_score_one_in_frequency() -> None:
    assert population_scores(values=[1] * 8 + [2, 7]) == [1] * 8 + [5, 5]


def test_ten_identical_customers_score_alike() -> None:
    assert set(population_scores(values=[4] * 10)) == {1}


def test_a_value_equal_to_a_cut_has_not_beaten_it() -> None:
    assert [score_by_cuts(value=v, cuts=(1, 3, 3, 7)) for v in (0, 1, 2, 3, 4, 7, 8)] == [
        *(1, 1, 2, 2, 4, 4, 5),
    ]


def test_no_values_have_no_cuts_and_no_scores() -> None:
    assert quantile_cuts(values=[]) == ()
    assert population_scores(values=[]) == []


def test_the_cuts_of_a_large_population_are_its_order_statistics() -> None:
    thresholds = population_thresholds(members=FIVE_HUNDRED, as_of=TODAY, history_days=180)
    assert thresholds == Thresholds(
        method=Method.quantile,
        reason=Reason.enough_data,
        as_of=TODAY,
        population=500,
        recency_cuts_days=(400, 300, 200, 100),
        frequency_cuts=(100, 200, 300, 400),
        monetary_cuts_fen=(100_000, 200_000, 300_000, 400_000),
    )
    assert score(measures=FIVE_HUNDRED[99], thresholds=thresholds) == Scores(5, 5, 5)
    assert score(measures=FIVE_HUNDRED[100], thresholds=thresholds) == Scores(4, 4, 4)
    assert score(measures=FIVE_HUNDRED[499], thresholds=thresholds) == Scores(1, 1, 1)


def test_fewer_days_since_the_last_order_score_higher() -> None:
    thresholds = population_thresholds(members=FIVE_HUNDRED, as_of=TODAY, history_days=180)
    fresh = score(measures=Measures(3, 1, 100), thresholds=thresholds)
    stale = score(measures=Measures(330, 1, 100), thresholds=thresholds)
    assert (fresh, stale) == (Scores(5, 1, 1), Scores(2, 1, 1))


def test_only_active_members_are_scored() -> None:
    thresholds = population_thresholds(members=FIVE_HUNDRED, as_of=TODAY, history_days=180)
    assert score(measures=PROSPECT, thresholds=thresholds) is None
    assert score(measures=LAPSED, thresholds=thresholds) is None


def test_prospects_and_lapsed_members_are_not_of_the_population() -> None:
    thin = population_thresholds(
        members=[*FIVE_HUNDRED[:499], PROSPECT, LAPSED], as_of=TODAY, history_days=180
    )
    assert (thin.population, thin.reason) == (499, Reason.small_population)


@pytest.mark.parametrize(
    ("members", "history_days", "method", "reason"),
    [
        (500, 180, Method.quantile, Reason.enough_data),
        (499, 180, Method.fixed, Reason.small_population),
        (500, 179, Method.fixed, Reason.short_history),
        (0, 0, Method.fixed, Reason.small_population),
    ],
)
def test_quantiles_need_500_members_and_180_days(
    members: int, history_days: int, method: Method, reason: Reason
) -> None:
    thresholds = population_thresholds(
        members=FIVE_HUNDRED[:members], as_of=TODAY, history_days=history_days
    )
    assert (thresholds.method, thresholds.reason) == (method, reason)


@pytest.mark.parametrize(
    ("days", "r"),
    [(0, 5), (30, 5), (31, 4), (60, 4), (61, 3), (120, 3), (121, 2), (240, 2), (241, 1), (364, 1)],
)
def test_fixed_recency_scores(days: int, r: int) -> None:
    thresholds = fixed_thresholds(facts=shop(population=0), as_of=TODAY)
    scores = score(measures=Measures(days, 1, 100), thresholds=thresholds)
    assert scores is not None
    assert scores.r == r


@pytest.mark.parametrize(
    ("orders", "f"), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (9, 4), (10, 5), (300, 5)]
)
def test_fixed_frequency_scores(orders: int, f: int) -> None:
    thresholds = fixed_thresholds(facts=shop(population=0), as_of=TODAY)
    scores = score(measures=Measures(0, orders, 100), thresholds=thresholds)
    assert scores is not None
    assert scores.f == f


@pytest.mark.parametrize(
    ("monetary_fen", "m"),
    [
        *((4_999, 1), (5_000, 2), (9_999, 2), (10_000, 3), (19_999, 3)),
        *((20_000, 4), (39_999, 4), (40_000, 5)),
    ],
)
def test_fixed_monetary_scores_are_in_mean_orders(monetary_fen: int, m: int) -> None:
    hundred_yuan_mean = shop(population=40, orders=70, monetary_fen=700_000)
    thresholds = fixed_thresholds(facts=hundred_yuan_mean, as_of=TODAY)
    scores = score(measures=Measures(0, 1, monetary_fen), thresholds=thresholds)
    assert scores is not None
    assert scores.m == m


def test_a_mean_order_that_is_no_whole_fen_is_compared_exactly() -> None:
    # The mean is 33 1/3 fen: half of it is reached by 17 fen, all of it by 34.
    thresholds = fixed_thresholds(facts=shop(population=3, orders=3, monetary_fen=100), as_of=TODAY)
    assert thresholds.monetary_cuts_fen == (16, 33, 66, 133)


def test_a_shop_without_orders_assumes_a_mean_order_of_200_yuan() -> None:
    thresholds = population_thresholds(members=[], as_of=TODAY, history_days=0)
    assert thresholds.monetary_cuts_fen == (9_999, 19_999, 39_999, 79_999)


def test_the_first_buyer_of_a_shop_is_fresh_and_of_middling_value() -> None:
    first = Measures(recency_days=0, frequency=1, monetary_fen=15_800)
    thresholds = population_thresholds(members=[first], as_of=TODAY, history_days=0)
    assert score(measures=first, thresholds=thresholds) == Scores(r=5, f=1, m=3)


@pytest.mark.parametrize(
    "change",
    [
        {"frequency_cuts": (1, 2, 3)},
        {"monetary_cuts_fen": (4, 3, 2, 1)},
        {"recency_cuts_days": (30, 60, 120, 240)},
    ],
)
def test_thresholds_that_are_not_four_cuts_from_worst_to_best_cannot_be_made(
    change: dict[str, tuple[int, ...]],
) -> None:
    good = fixed_thresholds(facts=shop(population=0), as_of=TODAY)
    with pytest.raises(ValueError, match="four cuts"):
        replace(good, **change)  # type: ignore[arg-type]


def test_frequency_and_money_join_by_their_mean_rounded_half_up() -> None:
    pairs = [(1, 1), (1, 2), (2, 3), (1, 5), (5, 4), (5, 5)]
    assert [Scores(r=1, f=f, m=m).fm for f, m in pairs] == [1, 2, 3, 3, 5, 5]


@pytest.mark.parametrize("levels", range(3, 11))
def test_double_precision_finds_the_exact_row_as_percentile_disc_does(levels: int) -> None:
    sizes = [*range(1, 3_001), *range(2_999_000, 3_000_001)]
    for k in range(1, levels):
        assert [math.ceil(k / levels * size) for size in sizes] == [
            (k * size + levels - 1) // levels for size in sizes
        ]
