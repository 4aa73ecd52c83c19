"""Identifiers: a type prefix and 26 characters that sort by time of making."""

import secrets
from datetime import datetime
from typing import Final

# Crockford's base 32: no i, l, o, u, so an identifier survives being read aloud.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS: Final = 80
_LENGTH: Final = 26


def new_id(prefix: str, *, at: datetime) -> str:
    """Make an identifier such as `mem_01kb…`: 48 bits of milliseconds, then 80 random bits."""
    milliseconds = int(at.timestamp() * 1000)
    number = (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range((_LENGTH - 1) * 5, -1, -5)]
    return f"{prefix}_{''.join(digits)}"
