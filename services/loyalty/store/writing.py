"""One statement that writes many rows into several tables, each table's rows given as arrays.

However many requests a statement serves, it is one round trip. Columns are named once, with their
type and where their value is found.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shared.idempotency import KEPT, keep_replies
from shared.outbox import EVENT_TYPES, appending

T = TypeVar("T")
#: Column, its PostgreSQL type, and where its value is found.
Column = tuple[str, str, Callable[[T], Any]]


@dataclass(frozen=True, kw_only=True)
class Rows(Generic[T]):
    """Rows of one table to be inserted; `conflict` says what to do with those that are there."""

    table: str
    columns: Sequence[Column[T]]
    conflict: str = ""

    def arguments(self, rows: Sequence[T]) -> list[list[Any]]:
        """A list for each column."""
        return column_arrays(self.columns, rows)


def column_arrays(columns: Sequence[Column[T]], rows: Sequence[T]) -> list[list[Any]]:
    """A list for each column."""
    return [[value(row) for row in rows] for _, _, value in columns]


class Placeholders:
    """Counts `$1`, `$2` … as a statement is put together."""

    def __init__(self) -> None:
        self._count = 0

    def arrays(self, kinds: Sequence[str]) -> str:
        """One array for each type; a document travels as text."""
        return ", ".join(f"{self.one('text' if k == 'jsonb' else k)}[]" for k in kinds)

    def one(self, kind: str) -> str:
        """A single value."""
        self._count += 1
        return f"${self._count}::{kind}"


def unnested(placeholders: Placeholders, columns: Sequence[Column[Any]]) -> str:
    """The rows as a table called `given`."""
    names = ", ".join(name for name, _, _ in columns)
    return f"unnest({placeholders.arrays([kind for _, kind, _ in columns])}) as given({names})"


def inserting(placeholders: Placeholders, rows: Rows[Any]) -> str:
    """A common table expression that inserts rows."""
    names = ", ".join(name for name, _, _ in rows.columns)
    values = ", ".join(
        f"given.{name}::jsonb" if kind == "jsonb" else f"given.{name}"
        for name, kind, _ in rows.columns
    )
    source = unnested(placeholders, rows.columns)
    return (
        f"new_{rows.table} as (insert into {rows.table} ({names})"  # noqa: S608 - constants
        f" select {values} from {source} {rows.conflict})"
    )


def keeping(placeholders: Placeholders) -> str:
    """The common table expression `kept`: replies under their keys."""
    return f"kept as ({keep_replies(placeholders.arrays(KEPT))})"


def telling(placeholders: Placeholders) -> str:
    """The common table expressions that append events, once the accounts are ours."""
    moved_first = "(select count(*) from moved) >= 0"
    return appending(placeholders.arrays(EVENT_TYPES), after=moved_first)
