"""Identifiers: unique, sortable by time, and safe to read aloud."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.http.fields import id_pattern
from shared.kernel.ids import new_id

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
moments = st.timedeltas(timedelta(0), LATEST - EARLIEST).map(lambda span: EARLIEST + span)


@given(moments)
def test_an_identifier_is_a_prefix_and_26_letters_that_requests_accept(at: datetime) -> None:
    made = new_id("mem", at=at)
    assert re.fullmatch(id_pattern("mem"), made)
    assert not set("ilou") & set(made.removeprefix("mem_"))


@given(moments, st.timedeltas(timedelta(milliseconds=2), timedelta(days=3650)))
def test_identifiers_sort_by_the_time_of_their_making(at: datetime, later: timedelta) -> None:
    assert new_id("mem", at=at) < new_id("mem", at=at + later)


def test_identifiers_of_one_moment_differ() -> None:
    assert len({new_id("mem", at=NOON) for _ in range(10_000)}) == 10_000


def test_an_identifier_begins_with_its_milliseconds() -> None:
    digits = new_id("vch", at=NOON).removeprefix("vch_")
    number = 0
    for digit in digits:
        number = number * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(digit)
    assert number >> 80 == int(NOON.timestamp() * 1000)
