"""A request from outside, as far as the front needs to know it. Its headers are read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from shared.kernel.errors import Refusal, RefusalKind
from shared.kernel.texts import Language, language_of

# What a service gets to see. An allow-list: neither what concerns this hop alone, nor the
# caller's key, nor anything a service might take for a word of ours can slip through.
_PASSED: Final = frozenset(
    {b"accept", b"accept-language", b"content-type", b"idempotency-key", b"if-none-match"}
)
# Said twice, each reader may believe another one.
_ONCE: Final = frozenset(
    {b"authorization", b"content-type", b"content-length", b"content-encoding", b"idempotency-key"}
)
# Enough to be too large for anything; Python refuses to read numbers of thousands of digits.
_LENGTH_DIGITS: Final = 18


class MalformedRequest(Refusal):
    """A header that may stand once stands twice."""

    code = "malformed_request"
    kind = RefusalKind.malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One request's head."""

    method: str
    raw_path: bytes
    query: bytes
    #: The path as a problem shows it.
    shown_path: str
    passed: Sequence[tuple[bytes, bytes]]
    headers: dict[bytes, bytes]
    #: A header that may stand once and does not.
    twice: bytes | None

    @classmethod
    def of(cls, scope: Scope) -> "Inbound":
        """Read the head of a request."""
        headers: dict[bytes, bytes] = {}
        passed: list[tuple[bytes, bytes]] = []
        twice: bytes | None = None
        for name, value in scope["headers"]:
            if name in headers and name in _ONCE:
                twice = name
            headers[name] = value
            if name in _PASSED:
                passed.append((name, value))
        return cls(
            method=scope["method"],
            raw_path=scope.get("raw_path") or scope["path"].encode(),
            query=scope["query_string"],
            shown_path=scope["path"],
            passed=passed,
            headers=headers,
            twice=twice,
        )

    @property
    def target(self) -> bytes:
        """What is asked for, exactly as it was asked: the path that was matched, and the query."""
        return self.raw_path + b"?" + self.query if self.query else self.raw_path

    @property
    def language(self) -> Language:
        """The language the caller asks for."""
        return language_of(self.headers.get(b"accept-language", b"").decode("latin-1"))

    @property
    def credential(self) -> str | None:
        """The bearer token, if there is one."""
        scheme, _, token = self.headers.get(b"authorization", b"").partition(b" ")
        return token.strip().decode("latin-1") if scheme.lower() == b"bearer" and token else None

    @property
    def has_body(self) -> bool:
        """Whether a body comes, as far as the head tells."""
        if b"transfer-encoding" in self.headers:
            return True
        return self.headers.get(b"content-length", b"0") != b"0"

    @property
    def announced_bytes(self) -> int:
        """The length of the body, as announced; 0 when it comes in chunks."""
        length = self.headers.get(b"content-length", b"0")
        return int(length[:_LENGTH_DIGITS]) if length.isdigit() else 0

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        value = self.headers.get(b"content-type", b"").decode("latin-1")
        return value.partition(";")[0].strip().lower()
