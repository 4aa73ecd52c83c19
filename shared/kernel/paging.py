"""Cursors: opaque marks of a place in a list, safe to hand to anybody."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from shared.kernel.errors import Refusal, RefusalKind

MAX_PAGE: Final = 200
DEFAULT_PAGE: Final = 50
_MAX_CURSOR_CHARACTERS: Final = 512

Row = TypeVar("Row")


class InvalidCursor(Refusal):
    """The cursor was not made by us or belongs to another list."""

    code = "invalid_cursor"
    kind = RefusalKind.invalid


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Row]):
    """Some rows and where the next ones begin; `next_cursor` is None at the end."""

    rows: Sequence[Row]
    next_cursor: str | None


def encode_cursor(*parts: str | int) -> str:
    """Make a cursor from the sort key of the last row shown."""
    raw = json.dumps(list(parts), separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_cursor(cursor: str, *types: type[str] | type[int]) -> tuple[str | int, ...]:
    """Read a cursor back. Raises InvalidCursor unless it holds exactly these types."""
    if len(cursor) > _MAX_CURSOR_CHARACTERS or not cursor.isascii():
        raise InvalidCursor
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise InvalidCursor from None
    if not isinstance(parts, list) or [type(part) for part in parts] != list(types):
        raise InvalidCursor
    if any(not _storable(part) for part in parts):
        raise InvalidCursor
    return tuple(parts)


def page_of(rows: Sequence[Row], *, limit: int, mark: Callable[[Row], str]) -> Page[Row]:
    """Cut a page from `limit + 1` fetched rows; `mark` makes the cursor of a row."""
    if len(rows) <= limit:
        return Page(rows=rows, next_cursor=None)
    shown = rows[:limit]
    return Page(rows=shown, next_cursor=mark(shown[-1]))


def _storable(part: str | int) -> bool:
    if isinstance(part, int):
        return -(2**63) <= part < 2**63
    return "\x00" not in part and not any("\ud800" <= letter <= "\udfff" for letter in part)
