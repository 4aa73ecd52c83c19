"""Medians, percentiles and ratios."""

from bench.figures import Spread, per_request_us, percentile, ratios, spread


def test_a_percentile_is_the_nearest_rank() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert percentile(ordered, 0.5) == 50
    assert percentile(ordered, 0.99) == 99
    assert percentile([7.0], 0.99) == 7
    assert percentile([1.0, 2.0, 3.0], 0.5) == 2
    assert percentile([], 0.5) == 0


def test_ratios_are_taken_within_a_round_so_that_a_slow_round_cancels() -> None:
    ours, base = [500.0, 50.0, 400.0], [1000.0, 100.0, 1000.0]
    assert ratios(ours, base) == Spread(median=0.5, least=0.4, most=0.5)


def test_a_spread_shows_the_least_and_the_most_unless_there_was_one_round() -> None:
    assert spread([1200.0, 1300.0, 1250.0]).text() == "1,250 (1,200–1,300)"
    assert spread([0.456]).text(2) == "0.46"


def test_processor_time_of_a_request_is_in_microseconds() -> None:
    assert per_request_us(1.5, 1000) == 1500
    assert per_request_us(1.5, 0) == 0
