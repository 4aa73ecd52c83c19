"""From method and raw path to the row of the policy table. Deny by default, and no second reading.

The path is matched as it came, and what is matched is what is forwarded: a path that another
reader could take for a different one (encoded slashes, dot segments, NUL, empty segments) matches
nothing.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar
from urllib.parse import unquote_to_bytes

from shared.kernel.errors import NotFound

PATH_BYTES_MAX: Final = 1024

_PLAIN: Final = re.compile(rb"[0-9A-Za-z_\-][0-9A-Za-z._:~\-]*")
_RAW: Final = re.compile(rb"(?:[0-9A-Za-z._~!$&'()*+,;=:@\-]|%[0-9A-Fa-f]{2})+")
_PARAMETER: Final = re.compile(r"\{\w+\}")


class Routed(Protocol):
    """What a route leads to."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...


Row = TypeVar("Row", bound=Routed)


class MethodNotAllowed(Exception):
    """The path exists, but not for this method; `allow` is the value of the Allow header."""

    def __init__(self, allow: str) -> None:
        super().__init__(allow)
        self.allow = allow


@dataclass(slots=True)
class _Node(Generic[Row]):
    literals: dict[bytes, "_Node[Row]"] = field(default_factory=dict)
    parameter: "_Node[Row] | None" = None
    rows: dict[str, Row] = field(default_factory=dict)


class Routes(Generic[Row]):
    """All routes, as a tree of path segments."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._root: _Node[Row] = _Node()
        for row in rows:
            self._add(row)

    def find(self, *, method: str, raw_path: bytes) -> Row:
        """The row for a request; HEAD goes where GET goes.

        Raises NotFound and MethodNotAllowed.
        """
        segments = raw_path.split(b"/")
        if segments[0] or len(segments) < 2 or len(raw_path) > PATH_BYTES_MAX:
            raise NotFound
        wanted = "GET" if method == "HEAD" else method
        allowed: set[str] = set()
        for node in _walk(self._root, segments, 1):
            row = node.rows.get(wanted)
            if row is not None:
                return row
            allowed.update(node.rows)
        if not allowed:
            raise NotFound
        raise MethodNotAllowed(_allow(allowed))

    def _add(self, row: Row) -> None:
        node = self._root
        for segment in row.path.split("/")[1:]:
            if _PARAMETER.fullmatch(segment):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment.encode(), _Node())
        if row.method in node.rows:
            raise ValueError(f"two routes for {row.method} {row.path}")
        node.rows[row.method] = row


def _walk(node: _Node[Row], segments: list[bytes], at: int) -> Iterator[_Node[Row]]:
    """The nodes a path ends at: a written segment before a parameter that would take it as well."""
    if at == len(segments):
        yield node
        return
    literal = node.literals.get(segments[at])
    if literal is not None:
        yield from _walk(literal, segments, at + 1)
    if node.parameter is not None and _unambiguous(segments[at]):
        yield from _walk(node.parameter, segments, at + 1)


def _unambiguous(segment: bytes) -> bool:
    """Whether every reader sees one and the same segment in it, decoded or not."""
    if _PLAIN.fullmatch(segment):
        return True
    if not _RAW.fullmatch(segment):
        return False
    decoded = unquote_to_bytes(segment)
    if decoded in (b".", b"..") or b"/" in decoded or b"\\" in decoded:
        return False
    try:
        return decoded.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _allow(methods: set[str]) -> str:
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
