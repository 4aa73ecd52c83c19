"""The eight, the eleven and the three working groups, row by row."""

from itertools import product

import pytest

from services.segmentation.domain.rfm import PROSPECT, Measures
from services.segmentation.domain.scoring import Method, Scores
from services.segmentation.domain.segments import (
    EIGHT,
    MIDDLE_BARS,
    Classification,
    Context,
    Group,
    HighBars,
    Segment,
    Segment11,
    classify,
    high_bars,
    mean_bars,
)
from shared.kernel.texts import catalogue

BOUGHT_LAST_WEEK = Measures(recency_days=7, frequency=3, monetary_fen=59_700)
AWAKE = Context(bars=MIDDLE_BARS)


def classified(
    r: int, f: int, m: int, *, recency_days: int = 7, context: Context = AWAKE
) -> Classification:
    measures = Measures(recency_days=recency_days, frequency=3, monetary_fen=59_700)
    return classify(scores=Scores(r=r, f=f, m=m), measures=measures, context=context)


@pytest.mark.parametrize(
    ("highs", "segment"),
    [
        ("HHH", Segment.important_value),
        ("LHH", Segment.important_retain),
        ("HLH", Segment.important_develop),
        ("LLH", Segment.important_rescue),
        ("HHL", Segment.general_value),
        ("LHL", Segment.general_retain),
        ("HLL", Segment.general_develop),
        ("LLL", Segment.general_rescue),
    ],
)
def test_the_classic_eight(highs: str, segment: Segment) -> None:
    r, f, m = (4 if high == "H" else 3 for high in highs)
    assert classified(r, f, m).segment is segment


def test_the_eight_are_eight_different_segments() -> None:
    assert len(EIGHT) == len(set(EIGHT.values())) == 8


@pytest.mark.parametrize(
    ("r_scores", "fm_scores", "segment_11"),
    [
        ({5}, {4, 5}, Segment11.champions),
        ({3, 4}, {4, 5}, Segment11.loyal),
        ({4, 5}, {2, 3}, Segment11.potential_loyalist),
        ({5}, {1}, Segment11.new),
        ({4}, {1}, Segment11.promising),
        ({3}, {3}, Segment11.needs_attention),
        ({3}, {1, 2}, Segment11.about_to_sleep),
        ({1, 2}, {3, 4}, Segment11.at_risk),
        ({1, 2}, {5}, Segment11.cant_lose),
        ({2}, {1, 2}, Segment11.hibernating),
        ({1}, {1, 2}, Segment11.lost),
    ],
)
def test_the_eleven_hold_exactly_their_cells(
    r_scores: set[int], fm_scores: set[int], segment_11: Segment11
) -> None:
    cells = {
        (r, fm)
        for r, fm in product(range(1, 6), repeat=2)
        if classified(r, fm, fm).segment_11 is segment_11
    }
    assert cells == set(product(r_scores, fm_scores))


def test_high_is_above_the_mean_score_and_not_equal_to_it() -> None:
    population = [Scores(1, 2, 5), Scores(3, 2, 1), Scores(5, 2, 3)]
    bars = mean_bars(scores=population)
    assert bars == HighBars(count=3, r_sum=9, f_sum=6, m_sum=9)
    segments = [classified(s.r, s.f, s.m, context=Context(bars=bars)).segment for s in population]
    assert segments == [
        Segment.important_rescue,
        Segment.general_rescue,
        Segment.general_develop,
    ]


def test_the_mean_is_compared_exactly_where_a_rounded_one_would_tie() -> None:
    # The mean is 3 - 1/1000000: a score of 3 is above it.
    bars = HighBars(count=1_000_000, r_sum=2_999_999, f_sum=2_999_999, m_sum=3_000_000)
    assert classified(3, 3, 3, context=Context(bars=bars)).segment is Segment.general_value


def test_fixed_thresholds_go_with_the_middle_of_the_scale_so_a_first_buyer_is_not_gone() -> None:
    first = Scores(r=5, f=1, m=3)
    mean = mean_bars(scores=[first])
    bars = high_bars(method=Method.fixed, mean=mean)
    assert classified(5, 1, 3, context=Context(bars=bars)).segment is Segment.general_develop
    assert high_bars(method=Method.quantile, mean=mean) == mean


def test_members_without_scores_are_prospect_or_lapsed_in_both_schemes() -> None:
    prospect = classify(scores=None, measures=PROSPECT, context=AWAKE)
    lapsed = classify(scores=None, measures=Measures(400, 0, 0), context=AWAKE)
    assert prospect == Classification(Segment.prospect, Segment11.prospect, None)
    assert lapsed == Classification(Segment.lapsed, Segment11.lapsed, Group.sleeping)


@pytest.mark.parametrize(
    ("r", "fm", "group"),
    [
        (5, 5, Group.high_value),
        (3, 4, Group.high_value),
        (1, 5, Group.high_value),
        (4, 2, Group.potential),
        (5, 1, Group.potential),
        (4, 1, Group.potential),
        (3, 3, None),
        (3, 1, None),
        (2, 4, None),
        (2, 1, None),
        (1, 1, None),
    ],
)
def test_the_working_group_of_a_member_who_is_awake(r: int, fm: int, group: Group | None) -> None:
    assert classified(r, fm, fm, recency_days=89).group is group


@pytest.mark.parametrize(("r", "fm"), [(5, 5), (1, 5), (5, 1), (3, 3), (1, 1)])
def test_a_member_who_sleeps_is_in_the_sleeping_group_whatever_its_segment(r: int, fm: int) -> None:
    awake, asleep = classified(r, fm, fm, recency_days=89), classified(r, fm, fm, recency_days=90)
    assert asleep.group is Group.sleeping
    assert asleep.segment_11 is awake.segment_11
    assert asleep.segment is awake.segment


def test_sleep_begins_when_the_programme_says() -> None:
    weekly_shop = Context(bars=MIDDLE_BARS, sleep_days=21)
    assert classified(5, 5, 5, recency_days=20, context=weekly_shop).group is Group.high_value
    assert classified(5, 5, 5, recency_days=21, context=weekly_shop).group is Group.sleeping


def test_a_lapsed_member_of_a_short_window_may_be_awake() -> None:
    lapsed_lately = Measures(recency_days=45, frequency=0, monetary_fen=0)
    assert classify(scores=None, measures=lapsed_lately, context=AWAKE).group is None


def test_scores_and_state_must_agree() -> None:
    with pytest.raises(ValueError, match="active members have scores"):
        classify(scores=None, measures=BOUGHT_LAST_WEEK, context=AWAKE)
    with pytest.raises(ValueError, match="active members have scores"):
        classify(scores=Scores(1, 1, 1), measures=PROSPECT, context=AWAKE)


@pytest.mark.parametrize("scores", [Scores(0, 1, 1), Scores(6, 1, 1), Scores(1, 9, 9)])
def test_scores_outside_one_to_five_have_no_segment(scores: Scores) -> None:
    with pytest.raises(ValueError, match=r"1\.\.5"):
        classify(scores=scores, measures=BOUGHT_LAST_WEEK, context=AWAKE)


def test_every_segment_and_group_has_a_chinese_and_an_english_name() -> None:
    keys = [code.name_key for code in (*Segment, *Segment11, *Group)]
    keys += [group.action_key for group in Group]
    for key in keys:
        assert set(catalogue()[key]) == {"zh-CN", "en"}, key


def test_within_a_scheme_no_two_names_are_alike() -> None:
    for scheme in (Segment, Segment11, Group):
        for language in ("zh-CN", "en"):
            names = [catalogue()[code.name_key][language] for code in scheme]
            assert len(set(names)) == len(names)
