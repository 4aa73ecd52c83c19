"""When a moment has come to its rest, and which is next."""

from datetime import timedelta

from shared.kernel.visits import Visit, at_rest, due_at, next_moment
from tests.support.service import NOON

HOUR = timedelta(hours=1)


def visit(**changed: object) -> Visit:
    given = {"done": 0, "more": False, "head": 0, "unsequenced": 0, "cursors": {}, "due": {}}
    return Visit(**{**given, **changed})  # type: ignore[arg-type]


def test_a_moment_is_at_rest_when_all_have_heard_all() -> None:
    loyalty = visit(head=7, cursors={"referral": 3})
    referral = visit(head=3, cursors={"loyalty": 7})
    assert at_rest({"loyalty": loyalty, "referral": referral})


def test_news_that_somebody_has_not_heard_keeps_it_going() -> None:
    loyalty = visit(head=8, cursors={"referral": 3})
    referral = visit(head=3, cursors={"loyalty": 7})
    assert not at_rest({"loyalty": loyalty, "referral": referral})


def test_work_left_over_or_facts_without_a_position_keep_it_going() -> None:
    assert not at_rest({"loyalty": visit(more=True)})
    assert not at_rest({"loyalty": visit(unsequenced=1)})


def test_a_producer_that_takes_no_part_is_not_waited_for() -> None:
    assert at_rest({"loyalty": visit(cursors={"elsewhere": 3})})


def test_the_next_moment_is_the_earliest_of_any_job_that_is_listened_to() -> None:
    visits = {
        "loyalty": visit(due={"release": NOON + 2 * HOUR, "lapse": NOON + HOUR}),
        "segmentation": visit(due={"night": NOON + 3 * HOUR}),
    }
    assert next_moment(visits) == NOON + HOUR
    assert next_moment(visits, ignoring={("loyalty", "lapse")}) == NOON + 2 * HOUR
    assert next_moment({"loyalty": visit()}) is None
    assert due_at(visits, at=NOON + HOUR) == {("loyalty", "lapse")}
