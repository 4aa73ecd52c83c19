"""The ledger read whole: one snapshot, a cursor for each table, in bounded memory."""

import asyncio
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

import asyncpg
import orjson

from services.loyalty.domain.audit import LedgerRows
from services.loyalty.store.audit import (
    ACCOUNT_COLUMNS,
    ALLOCATION_COLUMNS,
    ENTRY_COLUMNS,
    LOT_COLUMNS,
    MICROSECONDS,
)

_BATCH: Final = 2_000

#: Of each table its columns, itself, and its order; members are compared byte by byte.
_TABLES: Final[Mapping[str, tuple[str, str, str]]] = {
    "members": ("id", "members", "id {c}"),
    "accounts": (ACCOUNT_COLUMNS, "accounts", "member_id {c}"),
    "lots": (LOT_COLUMNS, "point_lots", "member_id {c}, id {c}"),
    "entries": (ENTRY_COLUMNS, "point_entries", "member_id {c}, seq"),
    "allocations": (ALLOCATION_COLUMNS, "lot_allocations", "member_id {c}, entry_seq, lot_id {c}"),
    "heads": ("member_id, seq, checkpoint, hash", "ledger_checkpoint_heads", "member_id {c}, seq"),
}
_CHECKPOINTS: Final = f"""
    select number, {MICROSECONDS.format("taken_at")}, members, entries, totals::text,
      balances::text, digest, previous_hash, hash
    from ledger_checkpoints order by number
"""  # noqa: S608 - constants
# In these an index in the database's own order serves as it is.
_BYTEWISE: Final = """
    select datlocprovider = 'b' or (datlocprovider = 'c' and datcollate in
      ('C', 'POSIX', 'C.UTF-8', 'C.utf8'))
    from pg_database where datname = current_database()
"""
# Copies of the ledger in a schema of the caller's own name, or first in a search path that was
# set for the role or the database, must not be taken for it. Any database's ledger is in public.
_BEGIN: Final = """
    set statement_timeout = 0; set idle_in_transaction_session_timeout = 0;
    set search_path = pg_catalog, public;
    begin isolation level repeatable read read only
"""


class LedgerDatabase:
    """A loyalty database opened for an audit. It only reads, in one snapshot, beside all work.

    Blocking: it runs a loop of its own, so it is for programs and threads, not for services.
    """

    def __init__(self, url: str) -> None:
        self._url = url.replace("postgresql+asyncpg://", "postgresql://")
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        """Connect and take the snapshot. Raises OSError and asyncpg.PostgresError."""
        try:
            self._connection = self._runner.run(asyncpg.connect(self._url, timeout=15))
            self._runner.run(self._connection.execute(_BEGIN))
            bytewise = self._runner.run(self._connection.fetchval(_BYTEWISE))
        except BaseException:
            self._runner.close()
            raise
        self._collation = "" if bytewise else 'collate "C"'
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()

    def rows(self) -> LedgerRows:
        """All tables, to be gone through at once."""
        tables = {
            name: self._stream(
                f"select {columns} from {table} order by {order.format(c=self._collation)}"  # noqa: S608 - constants
            )
            for name, (columns, table, order) in _TABLES.items()
        }
        checkpoints = map(_checkpoint, self._stream(_CHECKPOINTS))
        return LedgerRows(**tables, checkpoints=checkpoints)

    def _stream(self, statement: str) -> Iterator[Any]:
        cursor = self._runner.run(self._open(statement))
        while batch := self._runner.run(cursor.fetch(_BATCH)):
            yield from batch

    async def _open(self, statement: str) -> Any:
        return await self._connection.cursor(statement)


def _checkpoint(row: Any) -> tuple[Any, ...]:
    return (*row[:4], orjson.loads(row[4]), orjson.loads(row[5]), *row[6:])
