"""Referral codes: random, checked, and made of letters that nobody mistakes for another."""

import secrets
import unicodedata
from typing import Final

#: 31 symbols: no 0 and O, no 1, I and L.
ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
#: 31**8 codes: with a million in use, somebody who guesses needs 850,000 tries for a hit.
_DRAWN: Final = 8
_LENGTH: Final = _DRAWN + 1
_SCENE_PREFIX: Final = "r="
_SEPARATORS: Final = frozenset("-_.·")

#: Most visible characters of a mini-program's `scene`, and those it may hold besides letters.
SCENE_LENGTH_MAX: Final = 32
SCENE_SYMBOLS: Final = "!#$&'()*+,/:;=?@-._~"


def new_code() -> str:
    """A code such as `7KQM2XWF9`: eight random symbols and a check character."""
    return code_of([secrets.randbelow(len(ALPHABET)) for _ in range(_DRAWN)])


def code_of(digits: list[int]) -> str:
    """The code of eight digits in base 31, its check character added."""
    return "".join(ALPHABET[digit] for digit in [*digits, -_weighted_sum(digits) % len(ALPHABET)])


def normalised(typed: str) -> str | None:
    """The code that somebody meant; None when it cannot be one of ours.

    Case, spaces, hyphens and full-width letters do not matter, and a `scene` is read as the code
    in it. Any one wrong symbol and any two exchanged neighbours are noticed, because 31 is a prime
    and each place has a weight of its own.
    """
    wide = unicodedata.normalize("NFKC", typed).strip().removeprefix(_SCENE_PREFIX).upper()
    letters = "".join(one for one in wide if not one.isspace() and one not in _SEPARATORS)
    if len(letters) != _LENGTH or any(letter not in ALPHABET for letter in letters):
        return None
    digits = [ALPHABET.index(letter) for letter in letters]
    right = (_weighted_sum(digits[:-1]) + digits[-1]) % len(ALPHABET) == 0
    return letters if right else None


def scene_of(code: str) -> str:
    """What a mini-program code carries. Short: the rest of its 32 characters is the shop's."""
    return _SCENE_PREFIX + code


def link_of(code: str, *, template: str) -> str:
    """The address to share; `template` holds `{code}` where the code goes."""
    return template.replace("{code}", code)


def _weighted_sum(digits: list[int]) -> int:
    """Places weigh 2, 3, 4 …; the check character itself weighs 1."""
    return sum(weight * digit for weight, digit in enumerate(digits, start=2))
