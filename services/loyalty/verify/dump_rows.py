"""What stands in a dump's rows: which tables and columns, and their values out of COPY's text."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from services.loyalty.domain.audit_rows import Row
from services.loyalty.domain.chain import HASHED_COLUMNS, microseconds

_NULL: Final = "\\N"
# Strict, so that what is altered yet would be read as the same value is seen as well.
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(\+[0-9]{2}|-(?!00)[0-9]{2})(:[0-9]{2})?"
)
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LARGEST: Final = 2**63
#: Numbers of fewer digits are smaller than that without looking.
_DIGITS: Final = 19


class Unreadable(Exception):
    """A value that no database could have written."""


def _words(field: str) -> str | None:
    if "\\" not in field:
        return field
    if field == _NULL:
        return None
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), field)


def _number(field: str) -> int:
    if field.isdecimal() and field.isascii() and len(field) < _DIGITS:
        return int(field)
    if not _INTEGER.fullmatch(field) or abs(number := int(field)) >= _LARGEST:
        raise Unreadable
    return number


def _moment(field: str) -> int:
    if not _MOMENT.fullmatch(field):
        raise Unreadable
    try:
        return microseconds(datetime.fromisoformat(field))
    except (ValueError, OverflowError):
        raise Unreadable from None


def _bytes(field: str) -> bytes | None:
    if field == _NULL:
        return None
    digits = field.removeprefix("\\\\x")
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        raise Unreadable from None
    if found.hex() != digits:
        raise Unreadable
    return found


def _document(field: str) -> Any:
    try:
        return orjson.loads(_words(field) or "")
    except orjson.JSONDecodeError:
        raise Unreadable from None


@dataclass(frozen=True, kw_only=True)
class DumpTable:
    """A table of the ledger in a dump: its name there, its columns, and how it is sorted."""

    #: As in LedgerRows.
    name: str
    sql: str
    columns: Sequence[str]
    values: Sequence[Callable[[str], Any]]
    #: The keys for `sort`.
    order: Sequence[str]


_TEXT_KEYS: Final = ("-k1,1", "-k2,2")
_NUMBERED: Final = ("-k1,1", "-k2,2n")
_KINDS: Final[Mapping[str, Callable[[str], Any]]] = {
    **dict.fromkeys(
        (
            "seq", "points", "available_after", "pending_after", "held_after", "debt_after",
            "programme_version", "available", "pending", "held", "debt", "entry_seq", "remaining",
            "checkpoint", "number", "members", "entries",
        ),
        _number,
    ),
    **dict.fromkeys(("occurred_at", "recorded_at", "taken_at"), _moment),
    **dict.fromkeys(("previous_hash", "hash", "entry_hash", "digest"), _bytes),
    **dict.fromkeys(("totals", "balances"), _document),
}  # fmt: skip


def _table(name: str, sql: str, columns: str, order: Sequence[str]) -> DumpTable:
    names = columns.split()
    kinds = [_KINDS.get(one, _words) for one in names]
    return DumpTable(name=name, sql=sql, columns=names, values=kinds, order=order)


_ENTRY: Final = " ".join((*HASHED_COLUMNS, "previous_hash", "hash"))
_CHECKPOINT: Final = "number taken_at members entries totals balances digest previous_hash hash"
_ACCOUNT: Final = "member_id available pending held debt entry_seq entry_hash"
#: By their names in the dump.
TABLES: Final[Mapping[str, DumpTable]] = {
    table.sql: table
    for table in (
        _table("members", "members", "id", ("-k1,1",)),
        _table("accounts", "accounts", _ACCOUNT, ("-k1,1",)),
        _table("lots", "point_lots", "member_id id state points remaining", _TEXT_KEYS),
        _table("entries", "point_entries", _ENTRY, _NUMBERED),
        _table("allocations", "lot_allocations", "member_id entry_seq lot_id points", _NUMBERED),
        _table("heads", "ledger_checkpoint_heads", "member_id seq checkpoint hash", _NUMBERED),
        _table("checkpoints", "ledger_checkpoints", _CHECKPOINT, ("-k1,1n",)),
    )
}


def parsed(table: DumpTable, fields: Sequence[str]) -> Row:
    """A row's values, in the order of the table's columns. Raises Unreadable."""
    return tuple([value(field) for value, field in zip(table.values, fields, strict=True)])
