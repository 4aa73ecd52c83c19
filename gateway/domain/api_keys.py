"""API keys: `hk_live_<id>_<secret><checksum>`, so that a scanner finds a leaked one offline.

The id names the key in records; only a hash of the secret is ever kept.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
from typing import Final, Literal

from gateway.policy import SCOPES

Mode = Literal["live", "sandbox"]

#: In a key's scopes: all that there are, and all that later versions add. A manager key.
ALL_SCOPES: Final = "*"

# As in all our ids: no look-alikes, so that a key's id survives being read aloud.
_ID_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH: Final = 8
_SECRET_LENGTH: Final = 43  # 256 bits
_CHECKSUM_LENGTH: Final = 6  # 32 bits in base 62
_FORM: Final = re.compile(
    rf"(hk_(?:live|test)_)([{_ID_LETTERS}]{{{_ID_LENGTH}}})_"
    rf"([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
_PREFIXES: Final[dict[Mode, str]] = {"live": "hk_live_", "sandbox": "hk_test_"}


@dataclass(frozen=True, kw_only=True)
class KeySecret:
    """A whole key, as its owner holds it."""

    prefix: str
    id: str
    #: Never in a log line or an error.
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The key as it is sent."""
        body = f"{self.prefix}{self.id}_{self.secret}"
        return body + _checksum(body)

    @property
    def hash(self) -> bytes:
        """What is kept of it. The secret is 256 random bits, so no slow hash is needed."""
        return hashlib.sha256(self.secret.encode()).digest()

    def is_that_of(self, kept: bytes) -> bool:
        """Whether a kept hash is this secret's, in constant time."""
        return compare_digest(self.hash, kept)


@dataclass(frozen=True, kw_only=True)
class KeyFacts:
    """What is known of a key, apart from its secret."""

    id: str
    name: str
    #: As they were given: scope names, or ALL_SCOPES alone.
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @property
    def manager(self) -> bool:
        """Whether it has all scopes, and those to come."""
        return ALL_SCOPES in self.scopes

    @property
    def granted(self) -> frozenset[str]:
        """The scopes it has, by name."""
        return frozenset(SCOPES) if self.manager else frozenset(self.scopes)

    def state(self, *, at: datetime) -> str:
        """`active`, `expired` or `revoked` at a moment."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= at else "active"

    def beyond(self, scopes: Iterable[str]) -> list[str]:
        """Those of some scopes that this key does not have, in order; ALL_SCOPES counts as one."""
        own = self.granted | ({ALL_SCOPES} if self.manager else frozenset())
        return sorted(set(scopes) - own)


def new_key(*, mode: Mode) -> KeySecret:
    """Make a key that nobody can guess."""
    return KeySecret(
        prefix=_PREFIXES[mode],
        id=_random(_ID_LETTERS, _ID_LENGTH),
        secret=_random(_BASE62, _SECRET_LENGTH),
    )


def read_key(text: str, *, mode: Mode) -> KeySecret | None:
    """Take a key apart; None when it is not one of this deployment's mode or is mistyped."""
    found = _FORM.fullmatch(text)
    if found is None or found[1] != _PREFIXES[mode]:
        return None
    if not compare_digest(_checksum(text[:-_CHECKSUM_LENGTH]), found[4]):
        return None
    return KeySecret(prefix=found[1], id=found[2], secret=found[3])


def _random(letters: str, length: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))


def _checksum(body: str) -> str:
    """CRC-32 in base 62: guards against slips of the hand, and tells scanners a key from noise."""
    number, digits = zlib.crc32(body.encode()), []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
