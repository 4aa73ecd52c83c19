"""However a file is cut on its way, its lines are the same."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.imports_lines import LineSplitter, RawLine

files = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\r", b"\xef\xbb\xbf", b"a", b"bc", b" ", b"x" * 40_000]),
    max_size=30,
).map(b"".join)


def _split(pieces: list[bytes]) -> list[RawLine]:
    splitter = LineSplitter()
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return lines + splitter.end()


@given(content=files, cuts=st.lists(st.integers(min_value=0, max_value=200_000), max_size=10))
def test_the_lines_do_not_depend_on_how_the_file_was_cut(content: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    pieces = [content[start:end] for start, end in itertools.pairwise(places)]

    assert _split(pieces) == _split([content])


@given(content=files)
def test_every_line_that_is_not_blank_is_given_once(content: bytes) -> None:
    expected = [
        number
        for number, line in enumerate(content.split(b"\n"), start=1)
        if line.strip() and (number > 1 or line.removeprefix(b"\xef\xbb\xbf").strip())
    ]

    assert [line.number for line in _split([content])] == expected
