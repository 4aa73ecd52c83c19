"""What a reconciliation compares has words, and what is dated in the future is not recent."""

from datetime import UTC, datetime, timedelta
from typing import Final, get_args

import pytest

from services.loyalty.domain.reconciliations import (
    Identity,
    checkpoints_disagreement,
    is_recent,
)
from shared.kernel.texts import catalogue

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)


def test_whatever_must_agree_has_words_in_both_languages() -> None:
    for name in get_args(Identity):
        assert set(catalogue()[f"reconciliation.{name}"]) == {"zh-CN", "en"}


@pytest.mark.parametrize(
    ("ago", "recent"),
    [
        (timedelta(0), True),
        (HOUR - timedelta(microseconds=1), True),
        (HOUR, False),
        (-timedelta(microseconds=1), False),
        (-timedelta(days=400), False),
    ],
)
def test_recent_is_what_was_done_within_the_time_and_not_in_the_future(
    ago: timedelta, recent: bool
) -> None:
    assert is_recent(NOW - ago, now=NOW, every=HOUR) is recent


@pytest.mark.parametrize(
    ("newest", "recorded", "lost"), [(0, 0, False), (5, 4, False), (4, 4, False), (3, 4, True)]
)
def test_a_checkpoint_that_was_recorded_once_must_be_there(
    newest: int, recorded: int, lost: bool
) -> None:
    assert (checkpoints_disagreement(newest=newest, recorded=recorded) is not None) is lost
