"""Internal tokens: short-lived proof of who calls a service, for whom, and to do what.

A JWT (RFC 7519) signed with Ed25519 by the calling process. It names one callee (`aud`) and one
operation (`op`), so a token for reading a wallet cannot spend it. ADR 0003.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.kernel.errors import Refusal, RefusalKind

PrincipalKind = Literal["anonymous", "api_key", "service"]

LIFETIME_S: Final = 60
_REUSE_S: Final = 30
_CACHED: Final = 10_000
#: How far the clocks of two machines may differ.
_LEEWAY_S: Final = 5


class Unauthenticated(Refusal):
    """No valid proof of who calls."""

    code = "unauthenticated"
    kind = RefusalKind.unauthenticated


@dataclass(frozen=True, kw_only=True)
class Principal:
    """On whose behalf a request is made. `id` is an API key's id or a service's name."""

    kind: PrincipalKind
    id: str

    @property
    def actor(self) -> str:
        """How the principal is named in records: `api_key:1a2b3c4d`."""
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a verified token says: this caller may do this operation for this principal."""

    issuer: str
    operation: str
    principal: Principal


class _Remembered:
    """A small cache of things that expire, oldest out first. Keeps signatures off the hot path."""

    def __init__(self) -> None:
        self._kept: OrderedDict[object, tuple[float, object]] = OrderedDict()

    def get(self, key: object) -> object | None:
        until, value = self._kept.get(key, (0.0, None))
        return value if until > time.monotonic() else None

    def put(self, key: object, value: object, *, for_s: float) -> None:
        self._kept[key] = (time.monotonic() + for_s, value)
        self._kept.move_to_end(key)
        if len(self._kept) > _CACHED:
            self._kept.popitem(last=False)


class TokenSigner:
    """Makes the tokens of one process."""

    def __init__(self, *, issuer: str, private_key: bytes) -> None:
        self.issuer = issuer
        self._key = Ed25519PrivateKey.from_private_bytes(private_key)
        self._made = _Remembered()

    def token(self, *, audience: str, operation: str, principal: Principal | None = None) -> str:
        """A token for one operation of one callee; the same one again while it is fresh."""
        principal = principal or Principal(kind="service", id=self.issuer)
        wanted = (audience, operation, principal)
        known = self._made.get(wanted)
        if isinstance(known, str):
            return known
        # Expiry is a matter of machines, not of business time, which a sandbox may move.
        now = int(time.time())  # noqa: TID251
        claims = {
            "iss": self.issuer,
            "aud": audience,
            "op": operation,
            "sub": principal.actor,
            "iat": now,
            "exp": now + LIFETIME_S,
        }
        made = jwt.encode(claims, self._key, algorithm="EdDSA")
        self._made.put(wanted, made, for_s=_REUSE_S)
        return made


class TokenVerifier:
    """Checks the tokens that reach one service."""

    def __init__(self, *, audience: str, trusted: Mapping[str, bytes]) -> None:
        self._audience = audience
        self._keys = {
            issuer: Ed25519PublicKey.from_public_bytes(key) for issuer, key in trusted.items()
        }
        self._seen = _Remembered()

    def verify(self, token: str) -> Call:
        """Read a token. Raises Unauthenticated unless signed by one we trust, for us, and fresh."""
        known = self._seen.get(token)
        if isinstance(known, Call):
            return known
        try:
            issuer = str(jwt.decode(token, options={"verify_signature": False})["iss"])
            claims = jwt.decode(
                token,
                self._keys[issuer],
                algorithms=["EdDSA"],
                audience=self._audience,
                leeway=_LEEWAY_S,
                options={"require": ["iss", "aud", "op", "sub", "exp", "iat"]},
            )
            call = _read(claims, issuer=issuer)
            # Only what remains of its life, so that a remembered token dies when it would have.
            remaining_s = int(claims["exp"]) - time.time()  # noqa: TID251
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, RecursionError):
            raise Unauthenticated from None
        self._seen.put(token, call, for_s=remaining_s)
        return call


def _read(claims: Mapping[str, object], *, issuer: str) -> Call:
    kind, _, principal_id = str(claims["sub"]).partition(":")
    if kind not in ("anonymous", "api_key", "service"):
        raise ValueError(kind)
    # A service speaks for itself only; callers from outside come through the gateway.
    if issuer != "gateway" and (kind, principal_id) != ("service", issuer):
        raise ValueError("a service may not speak for others")
    return Call(
        issuer=issuer,
        operation=str(claims["op"]),
        principal=Principal(kind=kind, id=principal_id),  # type: ignore[arg-type]
    )
