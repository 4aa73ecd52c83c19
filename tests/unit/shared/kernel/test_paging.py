"""Cursors: they come back as they went out, and anything else is an invalid cursor."""

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.kernel.paging import InvalidCursor, Page, decode_cursor, encode_cursor, page_of

storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
numbers = st.integers(-(2**63), 2**63 - 1)


def forged(value: object) -> str:
    """What somebody could make who knows how cursors are made."""
    raw = json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@given(storable, numbers)
def test_a_cursor_comes_back_as_it_went_out(words: str, number: int) -> None:
    cursor = encode_cursor(words, number)
    assert cursor.isascii()
    assert decode_cursor(cursor, str, int) == (words, number)


@given(st.text(max_size=600))
@example("")
@example("====")
@example("W10")
@example("\ud800")
@example("A" * 100_000)
def test_any_text_is_a_cursor_or_an_invalid_one(cursor: str) -> None:
    try:
        found = decode_cursor(cursor, int)
    except InvalidCursor:
        return
    assert [type(part) for part in found] == [int]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(json_values)
@example([1.0])
@example([True])
@example([2**63])
@example([-(2**63) - 1])
@example({"0": 1})
def test_any_json_is_a_number_in_range_or_an_invalid_cursor(value: object) -> None:
    try:
        (number,) = decode_cursor(forged(value), int)
    except InvalidCursor:
        return
    assert value == [number]
    assert type(number) is int
    assert -(2**63) <= number < 2**63


@pytest.mark.parametrize("words", ["a\x00", "\ud800"])
def test_a_text_that_no_column_holds_is_an_invalid_cursor(words: str) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(forged([words]), str)


@pytest.mark.parametrize("raw", [b"[" * 300, b"\xff\xfe[", b"[9e999]", b"[NaN]", b"[1,2]", b"[]"])
def test_broken_json_is_an_invalid_cursor(raw: bytes) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(base64.urlsafe_b64encode(raw).decode(), int)


@given(st.integers(0, 12), st.integers(1, 10))
def test_pages_show_every_row_once(count: int, limit: int) -> None:
    rows, shown = list(range(count)), list[int]()
    page: Page[int] | None = None
    while page is None or page.next_cursor is not None:
        after = int(decode_cursor(page.next_cursor, int)[0]) if page and page.next_cursor else -1
        fetched = [row for row in rows if row > after][: limit + 1]
        page = page_of(fetched, limit=limit, mark=encode_cursor)
        assert len(page.rows) <= limit
        shown += page.rows
    assert shown == rows
