"""Codes survive being read aloud, typed on a phone and pasted from a chat; errors are noticed."""

import itertools

import pytest

from services.referral.domain.codes import (
    ALPHABET,
    SCENE_LENGTH_MAX,
    SCENE_SYMBOLS,
    code_of,
    link_of,
    new_code,
    normalised,
    scene_of,
)

CODE = code_of([5, 9, 17, 22, 0, 30, 4, 8])


def test_a_code_is_nine_symbols_none_of_which_looks_like_another() -> None:
    assert len(ALPHABET) == len(set(ALPHABET)) == 31
    assert not set("01ILO") & set(ALPHABET)
    for code in {new_code() for _ in range(200)}:
        assert len(code) == 9
        assert set(code) <= set(ALPHABET)
        assert normalised(code) == code


def test_two_codes_differ() -> None:
    assert len({new_code() for _ in range(500)}) == 500


@pytest.mark.parametrize(
    "typed",
    [
        CODE.lower(),
        f"  {CODE}\n",
        f"{CODE[:3]} {CODE[3:6]} {CODE[6:]}",
        f"{CODE[:3]}-{CODE[3:6]}-{CODE[6:]}",
        f"{CODE[:4]}\u3000{CODE[4:]}",
        "".join(chr(ord(letter) + 0xFEE0) for letter in CODE),
        scene_of(CODE),
    ],
)
def test_case_spaces_hyphens_and_full_width_letters_do_not_matter(typed: str) -> None:
    assert normalised(typed) == CODE


@pytest.mark.parametrize(
    "typed",
    ["", " ", CODE[:-1], CODE + "2", "0" * 9, "ZZZZZZZZZ", "推荐码推荐码推荐码", "r=", "\x00" * 9],
)
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert normalised(typed) is None


def test_any_one_wrong_symbol_is_noticed() -> None:
    for place, symbol in itertools.product(range(9), ALPHABET):
        wrong = CODE[:place] + symbol + CODE[place + 1 :]
        assert normalised(wrong) == (CODE if wrong == CODE else None)


def test_any_two_exchanged_neighbours_are_noticed() -> None:
    for place in range(8):
        wrong = CODE[:place] + CODE[place + 1] + CODE[place] + CODE[place + 2 :]
        assert CODE[place] != CODE[place + 1]
        assert normalised(wrong) is None


def test_the_scene_fits_a_mini_program_code() -> None:
    scene = scene_of(CODE)
    assert len(scene) <= SCENE_LENGTH_MAX
    assert all((one.isascii() and one.isalnum()) or one in SCENE_SYMBOLS for one in scene)


def test_the_link_carries_the_code_where_the_template_says() -> None:
    assert (
        link_of(CODE, template="https://t.example/{code}?x={y}")
        == f"https://t.example/{CODE}?x={{y}}"
    )
