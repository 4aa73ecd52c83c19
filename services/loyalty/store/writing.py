"""One statement that writes many rows into several tables.

However many requests a statement serves, it is one round trip. Columns are named once, with their
type and where their value is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shared.idempotency import keep_replies
from shared.outbox import appending
from shared.records_sql import Column, as_records, recordset

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Rows(Generic[T]):
    """Rows of one table to be inserted; `conflict` says what to do with those that are there."""

    table: str
    columns: Sequence[Column[T]]
    conflict: str = ""

    def argument(self, rows: Sequence[T]) -> str:
        """The rows as an argument of the statement."""
        return as_records(self.columns, rows)


@dataclass(frozen=True, kw_only=True)
class Updates(Generic[T]):
    """Rows of one table to be changed; the first column is the key that finds them."""

    table: str
    columns: Sequence[Column[T]]

    def argument(self, rows: Sequence[T]) -> str:
        """The rows as an argument of the statement."""
        return as_records(self.columns, rows)


class Placeholders:
    """Counts `$1`, `$2` … as a statement is put together."""

    def __init__(self) -> None:
        self._count = 0

    def next(self) -> str:
        """The next one."""
        self._count += 1
        return f"${self._count}"


def given(placeholders: Placeholders, columns: Sequence[Column[Any]]) -> str:
    """Rows as a table called `given`."""
    return recordset(placeholders.next(), columns)


def inserting(placeholders: Placeholders, rows: Rows[Any]) -> str:
    """A common table expression that inserts rows."""
    names = ", ".join(name for name, _, _ in rows.columns)
    source = given(placeholders, rows.columns)
    return (
        f"new_{rows.table} as (insert into {rows.table} ({names})"  # noqa: S608 - constants
        f" select {names} from {source} {rows.conflict})"
    )


def updating(placeholders: Placeholders, updates: Updates[Any], *, after: str = "") -> str:
    """A common table expression that changes rows; `after` is SQL that must hold before."""
    key, *names = (name for name, _, _ in updates.columns)
    sets = ", ".join(f"{name} = given.{name}" for name in names)
    table, source = updates.table, given(placeholders, updates.columns)
    return (
        f"changed_{table} as (update {table} set {sets}"  # noqa: S608 - constants
        f" from {source} where {table}.{key} = given.{key} {after})"
    )


def keeping(placeholders: Placeholders) -> str:
    """The common table expression `kept`: replies under their keys."""
    return f"kept as ({keep_replies(placeholders.next())})"


def telling(placeholders: Placeholders) -> str:
    """The common table expressions that append events, once the accounts are ours."""
    moved_first = "(select count(*) from moved) >= 0"
    return appending(placeholders.next(), after=moved_first)
