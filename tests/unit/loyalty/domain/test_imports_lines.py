"""A file is cut into lines as it arrives, and no more than a line of it is held."""

import tracemalloc

from services.loyalty.domain.imports_lines import MAX_LINE_BYTES, LineSplitter


def _lines(*pieces: bytes) -> list[tuple[int, bytes | None]]:
    splitter = LineSplitter()
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return [(line.number, line.content) for line in [*lines, *splitter.end()]]


def test_lines_are_numbered_from_one_and_blank_ones_are_left_out() -> None:
    assert _lines(b"a\n\n  \nb\n") == [(1, b"a"), (4, b"b")]


def test_a_last_line_without_an_end_counts() -> None:
    assert _lines(b"a\nb") == [(1, b"a"), (2, b"b")]
    assert _lines(b"a\n") == [(1, b"a")]
    assert _lines(b"") == []


def test_windows_line_ends_and_a_byte_order_mark_are_taken_off() -> None:
    assert _lines(b"\xef\xbb", b"\xbfa\r", b"\nb\r\n") == [(1, b"a"), (2, b"b")]


def test_a_byte_order_mark_further_on_stays() -> None:
    assert _lines(b"a\n\xef\xbb\xbfb\n") == [(1, b"a"), (2, b"\xef\xbb\xbfb")]


def test_a_line_of_the_greatest_length_is_given_and_a_longer_one_only_told_of() -> None:
    longest, too_long = b"x" * MAX_LINE_BYTES, b"y" * (MAX_LINE_BYTES + 1)

    assert _lines(longest + b"\n" + too_long + b"\nend") == [(1, longest), (2, None), (3, b"end")]
    assert _lines(too_long) == [(1, None)]


def test_an_endless_line_does_not_fill_the_memory() -> None:
    splitter, piece = LineSplitter(), b"x" * 65_536
    tracemalloc.start()
    try:
        for _ in range(1600):  # 100 MiB
            assert splitter.feed(piece) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1024 * 1024
    assert [line.content for line in splitter.end()] == [None]
