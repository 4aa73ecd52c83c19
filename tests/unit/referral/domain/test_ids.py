"""Ids that follow from what they name: the same again after a restore, others for other things."""

import re
from datetime import UTC, datetime, timedelta

from services.referral.domain.ids import derived_id
from shared.http.fields import id_pattern
from shared.kernel.ids import new_id

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def test_the_same_thing_has_the_same_id_again() -> None:
    again = [derived_id("rwd", at=NOON, of=("mem_1", "enrolled", "referee", "1")) for _ in "ab"]
    assert again[0] == again[1]


def test_other_things_have_other_ids() -> None:
    named = [
        ("mem_1", "enrolled", "referee", "1"),
        ("mem_1", "enrolled", "referee", "2"),
        ("mem_1", "enrolled", "referrer", "1"),
        ("mem_2", "enrolled", "referee", "1"),
        ("mem_1", "enrolledreferee", "", "1"),
    ]
    ids = {derived_id("rwd", at=NOON, of=of) for of in named} | {
        derived_id("ref", at=NOON, of=named[0]),
    }
    assert len(ids) == len(named) + 1


def test_it_is_written_and_sorts_as_all_ids_do() -> None:
    derived = derived_id("ref", at=NOON, of=("mem_1",))
    assert re.match(id_pattern("ref"), derived)
    earlier, later = (new_id("ref", at=NOON + timedelta(hours=hours)) for hours in (-1, 1))
    assert earlier < derived < later
