"""Rows given as arrays: one statement for any number of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
#: Column, its PostgreSQL type, and where its value is found.
Column = tuple[str, str, Callable[[T], Any]]


def names(columns: Sequence[Column[Any]]) -> str:
    """The columns, as a list."""
    return ", ".join(name for name, _, _ in columns)


def unnest(table: str, columns: Sequence[Column[Any]]) -> str:
    """Rows given as arrays, one for each column, as a table called `given`."""
    given = ", ".join(f"cast(:{table}_{name} as {kind}[])" for name, kind, _ in columns)
    return f"unnest({given}) as given({names(columns)})"


def insert(table: str, columns: Sequence[Column[Any]]) -> str:
    """An insert of rows given as arrays."""
    listed = names(columns)
    return f"insert into {table} ({listed}) select {listed} from {unnest(table, columns)}"  # noqa: S608


def arrays(table: str, columns: Sequence[Column[T]], rows: Iterable[T]) -> dict[str, list[Any]]:
    """The arrays of some rows, by the names of the parameters."""
    kept = list(rows)
    return {f"{table}_{name}": [value(row) for row in kept] for name, _, value in columns}
