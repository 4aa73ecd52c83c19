"""Many rows as one argument of a statement: a JSON document that PostgreSQL reads as a table.

An array for each column costs the driver ten times as much as the JSON library takes for all.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

T = TypeVar("T")
#: Column, its PostgreSQL type, and where its value is found. A `jsonb` value is JSON as text or
#: bytes already; a `bytea` value is bytes.
Column = tuple[str, str, Callable[[T], Any]]


def recordset(placeholder: str, columns: Sequence[Column[Any]], *, name: str = "given") -> str:
    """SQL of the rows as a table."""
    typed = ", ".join(f"{column} {kind}" for column, kind, _ in columns)
    return f"json_to_recordset({placeholder}::json) as {name}({typed})"


def as_records(columns: Sequence[Column[T]], rows: Sequence[T]) -> str:
    """The argument for `recordset`."""
    plain = [(column, value) for column, kind, value in columns if kind not in _WRAPPED]
    wrapped = [
        (column, value, _WRAPPED[kind]) for column, kind, value in columns if kind in _WRAPPED
    ]
    records = []
    for row in rows:
        record = {column: value(row) for column, value in plain}
        for column, value, wrap in wrapped:
            given = value(row)
            record[column] = None if given is None else wrap(given)
        records.append(record)
    return orjson.dumps(records).decode()


def _hex(given: bytes) -> str:
    return "\\x" + given.hex()


_WRAPPED: dict[str, Callable[[Any], Any]] = {"bytea": _hex, "jsonb": orjson.Fragment}
