"""Rows of an audit as they stream by, and what it finds."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Row = tuple[Any, ...]
_END: Final[Row] = (None, None)


@dataclass(frozen=True)
class Finding:
    """One thing that disagrees: a code, whose words stand under `verify.<code>`, and the facts."""

    code: str
    facts: Mapping[str, str | int]


class Findings:
    """The first of many findings, and how many there were: what is wrong throughout fits, too."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.first: list[Finding] = []
        self.count = 0

    def add(self, finding: Finding) -> None:
        """Count one more, and keep it while there is room."""
        self.count += 1
        if len(self.first) < self._most:
            self.first.append(finding)


class Rows:
    """A table's rows in order of their first two values, taken member by member."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._next = iter(rows).__next__
        self._row = self._advance()

    @property
    def key(self) -> str | None:
        """The member whose rows come next; None at the end."""
        key: str | None = self._row[0]
        return key

    def of(self, member_id: str) -> Iterator[Row]:
        """The member's remaining rows."""
        while self._row[0] == member_id:
            yield self._take()

    def at(self, member_id: str, number: int) -> Iterator[Row]:
        """The member's next rows with this number."""
        while self._row[1] == number and self._row[0] == member_id:
            yield self._take()

    def before(self, member_id: str, number: int) -> Iterator[Row]:
        """The member's next rows with a smaller number."""
        while self._row[0] == member_id and self._row[1] < number:
            yield self._take()

    def _take(self) -> Row:
        row, self._row = self._row, self._advance()
        return row

    def _advance(self) -> Row:
        try:
            return self._next()
        except StopIteration:
            return _END
