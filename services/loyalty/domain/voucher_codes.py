"""Voucher codes: random, checked, and made of letters that nobody mistakes for another."""

import secrets
from typing import Final

#: 31 characters: no 0 and O, no 1, I and L.
ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_DRAWN: Final = 15
_GROUP: Final = 4


def new_code() -> str:
    """A code such as `7KQM-2XWF-9ATR-HC4E`: 74 random bits and, at the end, a check character."""
    return grouped_code([secrets.randbelow(len(ALPHABET)) for _ in range(_DRAWN)])


def grouped_code(digits: list[int]) -> str:
    """The code of fifteen digits in base 31, its check character added, in groups for people."""
    code = "".join(ALPHABET[digit] for digit in [*digits, -_weighted_sum(digits) % len(ALPHABET)])
    return "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))


def is_well_formed(code: str) -> bool:
    """Whether a code can be one of ours: right length, letters and check character.

    Any one wrong character and any two exchanged neighbours are noticed, because 31 is a prime and
    each place has a weight of its own.
    """
    letters = code.replace("-", "").upper()
    if len(letters) != _DRAWN + 1 or any(letter not in ALPHABET for letter in letters):
        return False
    digits = [ALPHABET.index(letter) for letter in letters]
    return (_weighted_sum(digits[:-1]) + digits[-1]) % len(ALPHABET) == 0


def _weighted_sum(digits: list[int]) -> int:
    """Places weigh 2, 3, 4 …; the check character itself weighs 1."""
    return sum(weight * digit for weight, digit in enumerate(digits, start=2))
