"""Sizes from score cells are what counting members one by one gives."""

import random

from services.segmentation.domain.rfm import PROSPECT, Measures, State
from services.segmentation.domain.scoring import Scores
from services.segmentation.domain.segments import (
    SLEEP_DAYS,
    Classification,
    Context,
    Group,
    HighBars,
    Segment,
    Segment11,
    classify,
    mean_bars,
)
from services.segmentation.domain.sizes import (
    NO_GROUP,
    Cell,
    Scheme,
    cell_bars,
    code_in,
    segment_sizes,
)


def cells(*, seed: int) -> list[Cell]:
    """Some cells of a population, with members, orders and money."""
    dice = random.Random(seed)
    active = [
        Cell(
            state=State.active,
            scores=Scores(dice.randint(1, 5), dice.randint(1, 5), dice.randint(1, 5)),
            asleep=dice.random() < 0.5,
            members=dice.randint(1, 4),
            orders=dice.randint(1, 9),
            monetary_fen=dice.randint(1, 9_999),
        )
        for _ in range(60)
    ]
    without = [(State.prospect, False, 7), (State.lapsed, True, 5), (State.lapsed, False, 2)]
    return active + [
        Cell(state=state, scores=None, asleep=asleep, members=members, orders=0, monetary_fen=0)
        for state, asleep, members in without
    ]


def test_the_mean_of_cells_is_the_mean_of_their_members() -> None:
    population = cells(seed=1)
    one_by_one = [cell.scores for cell in population if cell.scores for _ in range(cell.members)]
    assert cell_bars(cells=population) == mean_bars(scores=one_by_one)


def test_each_scheme_counts_every_member_where_it_would_be_alone() -> None:
    population = cells(seed=2)
    context = Context(bars=cell_bars(cells=population))
    sizes = segment_sizes(cells=population, context=context)
    for scheme in Scheme:
        counted = dict.fromkeys(scheme.codes, 0)
        for cell in population:
            alone = classify(scores=cell.scores, measures=cell.measures, context=context)
            counted[code_in(scheme=scheme, classification=alone)] += cell.members
        assert {size.code: size.members for size in sizes if size.scheme is scheme} == counted


def test_each_scheme_sums_to_everybody_and_all_they_bought() -> None:
    population = cells(seed=3)
    sizes = segment_sizes(cells=population, context=Context(bars=cell_bars(cells=population)))
    whole = [(cell.members, cell.orders, cell.monetary_fen) for cell in population]
    for scheme in Scheme:
        parts = [(s.members, s.orders, s.monetary_fen) for s in sizes if s.scheme is scheme]
        assert [sum(p) for p in zip(*parts, strict=True)] == [
            sum(w) for w in zip(*whole, strict=True)
        ]


def test_nobody_makes_empty_parts_of_every_scheme() -> None:
    sizes = segment_sizes(cells=[], context=Context(bars=HighBars(0, 0, 0, 0)))
    assert [size.code for size in sizes] == [code for scheme in Scheme for code in scheme.codes]
    assert {size.members for size in sizes} == {0}


def test_a_cell_stands_for_members_of_its_state_and_sleep() -> None:
    for state, asleep, recency_days, frequency in (
        (State.active, False, 0, 1),
        (State.active, True, SLEEP_DAYS, 1),
        (State.lapsed, True, SLEEP_DAYS, 0),
    ):
        cell = Cell(state=state, scores=None, asleep=asleep, members=1, orders=0, monetary_fen=0)
        assert cell.measures == Measures(recency_days, frequency, 0)
        assert cell.measures.state is state
    prospect = Cell(
        state=State.prospect, scores=None, asleep=False, members=1, orders=0, monetary_fen=0
    )
    assert prospect.measures == PROSPECT


def test_a_member_in_no_group_is_in_the_part_for_the_rest() -> None:
    rest = Classification(Segment.general_rescue, Segment11.about_to_sleep, None)
    asleep = Classification(Segment.general_rescue, Segment11.lost, Group.sleeping)
    assert code_in(scheme=Scheme.group, classification=rest) == NO_GROUP
    assert code_in(scheme=Scheme.group, classification=asleep) == "sleeping"
    assert code_in(scheme=Scheme.segment, classification=rest) == "general_rescue"
    assert code_in(scheme=Scheme.segment_11, classification=rest) == "about_to_sleep"
