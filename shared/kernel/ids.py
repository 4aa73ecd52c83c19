"""Identifiers: a type prefix and 26 characters that sort by time of making."""

import base64
import secrets
from datetime import datetime
from typing import Final

# Crockford's base 32: no i, l, o, u, so an identifier survives being read aloud.
_ALPHABET: Final = b"0123456789abcdefghjkmnpqrstvwxyz"
_CROCKFORD: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET)
_RANDOM_BYTES: Final = 10
_MILLISECOND_BYTES: Final = 6
#: 128 bits take 26 digits of five; written as 20 bytes, the first six digits are always zero.
_PADDING: Final = bytes(20 - _MILLISECOND_BYTES - _RANDOM_BYTES)
_LEADING: Final = 6


def new_id(prefix: str, *, at: datetime) -> str:
    """Make an identifier such as `mem_01kb…`: 48 bits of milliseconds, then 80 random bits."""
    milliseconds = int(at.timestamp() * 1000).to_bytes(_MILLISECOND_BYTES, "big")
    number = _PADDING + milliseconds + secrets.token_bytes(_RANDOM_BYTES)
    digits = base64.b32encode(number).translate(_CROCKFORD)[_LEADING:]
    return f"{prefix}_{digits.decode()}"
