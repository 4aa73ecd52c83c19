"""What a programme may say, and that nobody but the bringer of a newcomer is ever paid."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.referral.domain.programme import (
    Programme,
    Stage,
    StageReward,
    TooManyPaidLevels,
    promises,
    refuse_unsound,
)
from shared.kernel.errors import InvalidField
from tests.unit.referral.domain.programmes import programme

START = datetime(2026, 11, 1, tzinfo=UTC)
END = START + timedelta(days=30)


def refused_at(unsound: Programme) -> tuple[str, str]:
    with pytest.raises(InvalidField) as refused:
        refuse_unsound(unsound, paid_levels=1)
    return refused.value.pointer, refused.value.reason


def with_stages(*stages: Stage) -> Programme:
    return programme(stages=stages)


def test_the_default_promises_20_yuan_to_both_and_50_to_the_referrer() -> None:
    refuse_unsound(programme(), paid_levels=1)
    assert [(one.stage, one.role, one.amount_fen) for one in promises(programme())] == [
        ("enrolled", "referrer", 2_000),
        ("enrolled", "referee", 2_000),
        ("first_order", "referrer", 5_000),
    ]


def test_more_than_one_paid_level_is_refused() -> None:
    for levels in (2, 3, 100):
        with pytest.raises(TooManyPaidLevels):
            refuse_unsound(programme(), paid_levels=levels)


def test_a_stage_stands_once() -> None:
    enrolled, _ = programme().stages
    assert refused_at(with_stages(enrolled, enrolled)) == ("/stages", "stage_repeated")


def test_a_stage_has_a_trigger_of_its_own_kind() -> None:
    enrolled, first_order = programme().stages
    wrong = with_stages(enrolled, replace(first_order, trigger="enrolled"))
    assert refused_at(wrong) == ("/stages/1/trigger", "trigger_of_other_stage")
    wrong = with_stages(replace(enrolled, trigger="first_order_paid"))
    assert refused_at(wrong) == ("/stages/0/trigger", "trigger_of_other_stage")


def test_nobody_is_rewarded_twice_for_a_stage() -> None:
    enrolled, _ = programme().stages
    twice = (StageReward(role="referrer", amount_fen=1), StageReward(role="referrer", amount_fen=2))
    wrong = with_stages(replace(enrolled, rewards=twice))
    assert refused_at(wrong) == ("/stages/0/rewards", "role_repeated")


def test_a_programme_does_not_end_before_it_starts() -> None:
    pointer, reason = refused_at(programme(starts_at=START, ends_at=START))
    assert (pointer, reason) == ("/ends_at", "programme_ends_before_it_starts")
    refuse_unsound(programme(starts_at=START, ends_at=END), paid_levels=1)


def test_a_programme_runs_from_its_start_up_to_its_end() -> None:
    dated = programme(starts_at=START, ends_at=END)
    moment = timedelta(microseconds=1)
    assert not dated.runs_at(START - moment)
    assert dated.runs_at(START)
    assert dated.runs_at(END - moment)
    assert not dated.runs_at(END)


def test_a_programme_without_dates_always_runs() -> None:
    assert programme().runs_at(datetime(1990, 1, 1, tzinfo=UTC))
