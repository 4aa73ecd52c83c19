"""Money for people: yuan, with fen only where there are any."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.money import MAX_FEN, yuan_text


@pytest.mark.parametrize(
    ("fen", "words"),
    [
        (0, "0"),
        (1, "0.01"),
        (10, "0.10"),
        (100, "1"),
        (2000, "20"),
        (1250, "12.50"),
        (-5, "-0.05"),
        (-2000, "-20"),
        (-150, "-1.50"),
        (MAX_FEN, "100000000"),
    ],
)
def test_an_amount_reads_as_people_write_it(fen: int, words: str) -> None:
    assert yuan_text(fen) == words


@given(st.integers(-MAX_FEN, MAX_FEN))
def test_no_fen_is_lost_in_writing(fen: int) -> None:
    assert re.fullmatch(r"-?\d+(\.\d\d)?", yuan_text(fen))
    assert Decimal(yuan_text(fen)) * 100 == fen


def test_a_million_largest_amounts_are_still_exact_in_javascript() -> None:
    assert MAX_FEN * 900_000 < 2**53
