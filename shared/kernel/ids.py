"""Identifiers: a type prefix and 26 characters that sort by time of making."""

from datetime import datetime
from os import urandom
from typing import Final

# Crockford's base 32: no i, l, o, u, so an identifier survives being read aloud.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
#: Two digits, ten bits, at a time: each request makes several identifiers.
_PAIRS: Final = [high + low for high in _ALPHABET for low in _ALPHABET]
_TEN_BITS: Final = len(_PAIRS) - 1
_HALF: Final = 5


def new_id(prefix: str, *, at: datetime) -> str:
    """Make an identifier such as `mem_01kb…`: 48 bits of milliseconds, then 80 random bits."""
    milliseconds = int(at.timestamp() * 1000)
    drawn = urandom(2 * _HALF)
    high, low = int.from_bytes(drawn[:_HALF], "big"), int.from_bytes(drawn[_HALF:], "big")
    moment = _PAIRS[milliseconds >> 40] + _eight_digits(milliseconds & 0xFF_FFFF_FFFF)
    return f"{prefix}_{moment}{_eight_digits(high)}{_eight_digits(low)}"


def _eight_digits(number: int) -> str:
    """Forty bits."""
    return (
        _PAIRS[number >> 30]
        + _PAIRS[number >> 20 & _TEN_BITS]
        + _PAIRS[number >> 10 & _TEN_BITS]
        + _PAIRS[number & _TEN_BITS]
    )
