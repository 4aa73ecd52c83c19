"""Ids that follow from what they name.

After a restore from an older backup, referral reads the log again and asks for the same rewards
under the same ids; loyalty recognises those it has issued. Random ids would pay them twice.
"""

import hashlib
from datetime import datetime
from typing import Final

# Crockford's base 32, as all ids of the product are written.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_HASH_BITS: Final = 80
_LENGTH: Final = 26


def derived_id(prefix: str, *, at: datetime, of: tuple[str, ...]) -> str:
    """An id such as `rwd_01kb…`: 48 bits of the milliseconds of `at`, then 80 of a hash of `of`."""
    named = hashlib.sha256("\0".join((prefix, *of)).encode()).digest()
    number = int(at.timestamp() * 1000) << _HASH_BITS
    number |= int.from_bytes(named[: _HASH_BITS // 8], "big")
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range((_LENGTH - 1) * 5, -1, -5)]
    return f"{prefix}_{''.join(digits)}"
