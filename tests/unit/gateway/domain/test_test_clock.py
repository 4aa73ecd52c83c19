"""A journey through time is not held up by a job that names moments and does nothing there."""

from datetime import timedelta

from gateway.domain.test_clock import Patience
from tests.support.service import NOON

JOB = ("loyalty", "restless")
MICROSECOND = timedelta(microseconds=1)


def test_a_job_that_names_moment_after_moment_in_vain_is_ignored_in_the_end() -> None:
    patience = Patience()
    at = NOON
    for _ in range(100):
        assert not patience.note(named=[JOB], at=at, fruitful=False)
        at += MICROSECOND
    assert patience.note(named=[JOB], at=at, fruitful=False) == {JOB}
    assert patience.ignoring == {JOB}


def test_a_job_that_looks_in_vain_once_a_day_is_never_ignored() -> None:
    patience = Patience()
    for day in range(1_000):
        assert not patience.note(named=[JOB], at=NOON + timedelta(days=day), fruitful=False)


def test_a_job_that_has_work_every_second_is_never_ignored() -> None:
    patience = Patience()
    for second in range(1_000):
        assert not patience.note(named=[JOB], at=NOON + timedelta(seconds=second), fruitful=True)
