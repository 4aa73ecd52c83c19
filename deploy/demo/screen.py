"""What the demo prints: lines and tables that stay aligned with Chinese in them."""

import sys
import time
import unicodedata
from collections.abc import Sequence
from typing import Final

_QUIET_S: Final = 2.0


def width(text: str) -> int:
    """Columns that a text takes on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Fill up a text with blanks to a number of columns."""
    blanks = " " * max(0, columns - width(text))
    return blanks + text if right else text + blanks


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """A table; the first `left` columns are flush left, the others right."""
    widths = [max(width(row[place]) for row in (head, *rows)) for place in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = [pad(cell, widths[i], right=i >= left) for i, cell in enumerate(row)]
        lines.append("  " + "   ".join(cells).rstrip())
    lines.insert(1, "  " + "   ".join("─" * columns for columns in widths))
    return "\n".join(lines)


def say(text: str = "") -> None:
    """Print a line at once."""
    print(text, flush=True)


def chapter(chinese: str, english: str) -> None:
    """Begin a part of the demo."""
    say(f"\n━━ {chinese}  ·  {english} ━━")


class Progress:
    """Where things stand: written over and over on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._shown_at = -_QUIET_S
        self._last = ""

    def show(self, text: str) -> None:
        """Say where things stand now."""
        self._last = text
        if sys.stdout.isatty():
            print(f"\r\x1b[2K  {text}", end="", flush=True)
        elif time.monotonic() - self._shown_at >= _QUIET_S:
            self._shown_at = time.monotonic()
            say(f"  {text}")

    def done(self) -> None:
        """End with the last word."""
        if sys.stdout.isatty():
            say()
        else:
            say(f"  {self._last}")


def yuan(fen: int) -> str:
    """An amount of fen as yuan, with thousands."""
    return f"{fen / 100:,.2f}"
