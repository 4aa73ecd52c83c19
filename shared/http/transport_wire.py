"""What the transport writes: request heads that cannot be bent, and the framing of bodies."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import httpx

Headers = Sequence[tuple[bytes, bytes]]

# A body up to this size goes out with the head in one write and is sent again on a retry.
WHOLE_BODY_BYTES = 64 * 1024
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

_CONNECTION_HEADERS = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^\x00-\x20\x7f]+ HTTP/1\.1\r\n")


class Origin(NamedTuple):
    """One upstream: where the connections of one pool lead."""

    host: str
    port: int

    @classmethod
    def of(cls, *, url: str) -> "Origin":
        """The origin of a base address such as `http://loyalty:8001`.

        Raises httpx.UnsupportedProtocol for anything but plain http.
        """
        return origin_of(url=httpx.URL(url))

    @property
    def authority(self) -> bytes:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == 80 else f"{host}:{self.port}").encode("ascii")


def origin_of(*, url: httpx.URL) -> Origin:
    """The origin an address belongs to; raises httpx.UnsupportedProtocol unless it is http."""
    if url.scheme != "http" or not url.host:
        raise httpx.UnsupportedProtocol(f"Only plain http with a host is spoken here: {url!s}")
    return Origin(url.raw_host.decode("ascii"), url.port or 80)


class Patience(Protocol):
    """How long, in seconds from now, each phase may still take; None is without end."""

    def pool(self) -> float | None: ...
    def connect(self) -> float | None: ...
    def read(self) -> float | None: ...
    def write(self) -> float | None: ...


class Deadline:
    """One instant by which everything has to be done."""

    __slots__ = ("_at", "_loop")

    def __init__(self, *, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time() + seconds

    def read(self) -> float | None:
        """What is left, never below zero."""
        return max(0.0, self._at - self._loop.time())

    pool = connect = write = read


class Timeouts:
    """httpx's four timeouts, each counted anew for every wait of its kind."""

    __slots__ = ("_seconds",)

    def __init__(self, *, request: httpx.Request) -> None:
        self._seconds: dict[str, float | None] = request.extensions.get("timeout", {})

    def pool(self) -> float | None:
        return self._seconds.get("pool")

    def connect(self) -> float | None:
        return self._seconds.get("connect")

    def read(self) -> float | None:
        return self._seconds.get("read")

    def write(self) -> float | None:
        return self._seconds.get("write")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request ready to be written: `message` at once, then the pieces of `body`."""

    message: bytes
    bodiless_answer: bool
    repeatable: bool
    body: AsyncIterable[bytes] | None = None
    length: int | None = None  # of `body`, in bytes; None means that it goes in chunks


def whole_request(
    *, origin: Origin, method: str, target: bytes, headers: Headers, body: bytes
) -> Outgoing:
    """A request whose body is in memory; the transport frames it and names the host.

    Raises httpx.LocalProtocolError when a part would not be read back as it was meant, or when
    the headers frame the message themselves.
    """
    names = {_name(name) for name, _ in headers}
    if not names.isdisjoint(_CONNECTION_HEADERS):
        raise httpx.LocalProtocolError("The transport frames the message itself")
    framing = [] if b"host" in names else [_host(origin)]
    if body or method in _BODY_METHODS:
        framing.append((b"content-length", b"%d" % len(body)))
    head = _head(method=method, target=target, headers=(*framing, *headers))
    return Outgoing(head + body, method == "HEAD", method in IDEMPOTENT_METHODS)


def streamed_request(*, request: httpx.Request) -> Outgoing:
    """A request of httpx, framed by its own headers as httpx has set them.

    Raises httpx.LocalProtocolError when it is framed twice, not at all, or is malformed.
    """
    if not isinstance(request.stream, httpx.AsyncByteStream):
        raise httpx.LocalProtocolError("The body of an asynchronous request must be asynchronous")
    head = _head(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
    bodiless, idempotent = request.method == "HEAD", request.method in IDEMPOTENT_METHODS
    chunked, length = _framing(request.headers)
    if not isinstance(request.stream, httpx.ByteStream):
        return Outgoing(head, bodiless, False, request.stream, None if chunked else length)
    body = b"".join(request.stream)
    if not chunked and len(body) != length:
        raise httpx.LocalProtocolError("The body is not as long as its content-length")
    if chunked or len(body) > WHOLE_BODY_BYTES:
        return Outgoing(head, bodiless, idempotent, _Pieces(body), None if chunked else length)
    return Outgoing(head + body, bodiless, idempotent)


async def framed(*, body: AsyncIterable[bytes], length: int | None) -> AsyncGenerator[bytes, None]:
    """The bytes to write for a body: as they are when the length is known, else in chunks.

    Raises httpx.LocalProtocolError when there are more or fewer than `length` bytes.
    """
    written = 0
    async for piece in body:
        written += len(piece)
        if length is not None and written > length:
            raise httpx.LocalProtocolError("The body is longer than its content-length")
        if piece:
            yield piece if length is not None else b"%x\r\n%b\r\n" % (len(piece), piece)
    if length is None:
        yield b"0\r\n\r\n"
    elif written < length:
        raise httpx.LocalProtocolError("The body is shorter than its content-length")


class _Pieces:
    """A body in memory, handed out piecewise so that each piece has its own write timeout."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), WHOLE_BODY_BYTES):
            yield self._body[start : start + WHOLE_BODY_BYTES]


def _head(*, method: str, target: bytes, headers: Headers) -> bytes:
    if method == "CONNECT":
        raise httpx.UnsupportedProtocol("Tunnels are not spoken here")
    line = b"%b %b HTTP/1.1\r\n" % (method.encode("ascii", "replace"), target)
    if _REQUEST_LINE.fullmatch(line) is None:
        raise httpx.LocalProtocolError("The method or the target is malformed")
    fields = b"".join([b"%b: %b\r\n" % (name, value) for name, value in headers if _name(name)])
    if fields.count(b"\n") != len(headers) or fields.count(b"\r") != len(headers) or 0 in fields:
        raise httpx.LocalProtocolError("A header's value holds a line break or a NUL")
    return b"%b%b\r\n" % (line, fields)


@lru_cache(maxsize=1024)
def _name(name: bytes) -> bytes:
    """A header's name in lower case; cached, because the same few come again and again."""
    if _TOKEN.fullmatch(name) is None:
        raise httpx.LocalProtocolError("A header's name is malformed")
    return name.lower()


@lru_cache(maxsize=64)
def _host(origin: Origin) -> tuple[bytes, bytes]:
    return b"host", origin.authority


def _framing(headers: httpx.Headers) -> tuple[bool, int]:
    lengths = headers.get_list("content-length")
    codings = headers.get_list("transfer-encoding")
    if len(lengths) + len(codings) > 1 or codings not in ([], ["chunked"]):
        raise httpx.LocalProtocolError("The message is framed in more than one way")
    if lengths and not (lengths[0].isascii() and lengths[0].isdigit()):
        raise httpx.LocalProtocolError("The content-length is malformed")
    return bool(codings), int(lengths[0]) if lengths else 0
