"""Cutting a file into lines as it arrives, holding at most one line."""

from dataclasses import dataclass
from typing import Final

MAX_LINE_BYTES: Final = 64 * 1024
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class RawLine:
    """A line's number, counted from 1, and its bytes; None when it was too long to be held."""

    number: int
    content: bytes | None


class LineSplitter:
    """Takes a file piece by piece and gives its lines, without their ends, blank ones left out."""

    def __init__(self) -> None:
        self._rest = b""
        self._number = 0
        #: Whether we are inside a line that is too long, waiting for its end.
        self._overlong = False

    def feed(self, piece: bytes) -> list[RawLine]:
        """The lines that end within this piece."""
        *ended, rest = piece.split(b"\n")
        lines = [line for part in ended if (line := self._ended(part)) is not None]
        self._keep(rest)
        return lines

    def end(self) -> list[RawLine]:
        """The last line, if the file did not end with a line end."""
        last = self._ended(b"")
        return [] if last is None else [last]

    def _ended(self, part: bytes) -> RawLine | None:
        self._keep(part)
        content, overlong = self._rest, self._overlong
        self._rest, self._overlong = b"", False
        self._number += 1
        if overlong:
            return RawLine(number=self._number, content=None)
        if self._number == 1:
            content = content.removeprefix(_BOM)
        content = content.removesuffix(b"\r")
        return RawLine(number=self._number, content=content) if content.strip() else None

    def _keep(self, part: bytes) -> None:
        if self._overlong or len(self._rest) + len(part) > MAX_LINE_BYTES:
            self._rest, self._overlong = b"", True
        else:
            self._rest += part
