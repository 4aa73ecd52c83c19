"""What the database counts while a variant runs: statements, write transactions, WAL."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import asyncpg

#: Until all backends have read the setting anew.
_RELOAD_S: Final = 0.3


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Of the whole server, between entering and leaving."""

    #: Statements that clients sent, BEGIN and COMMIT included: round trips of a driver that waits.
    statements: int
    #: Transactions that wrote something (transaction ids given out).
    writes: int
    wal_bytes: int


class Counters:
    """Counts everything that happens on the server while entered, apart from its own questions.

    Counting costs a little, so it is done in a short run of its own, never in a measured one.
    """

    def __init__(self, admin_url: str) -> None:
        self._url = admin_url
        self._before = (0, 0)
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self.counted = Counted(statements=0, writes=0, wal_bytes=0)

    async def __aenter__(self) -> Self:
        """Begin to count."""
        self._connection = await asyncpg.connect(self._url)
        await self._track("top")
        await self._connection.execute("select pg_stat_statements_reset()")
        self._before = await self._marks()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop counting; `counted` has the figures."""
        assert self._connection is not None
        writes, wal = await self._marks()
        statements = await self._connection.fetchval(
            "select coalesce(sum(calls), 0)::bigint from pg_stat_statements"
            " where dbid <> (select oid from pg_database where datname = current_database())"
        )
        self.counted = Counted(
            statements=statements, writes=writes - self._before[0], wal_bytes=wal - self._before[1]
        )
        await self._track("none")
        await self._connection.close()

    async def _track(self, what: str) -> None:
        assert self._connection is not None
        await self._connection.execute(f"alter system set pg_stat_statements.track = '{what}'")
        await self._connection.execute("select pg_reload_conf()")
        await asyncio.sleep(_RELOAD_S)

    async def _marks(self) -> tuple[int, int]:
        assert self._connection is not None
        row = await self._connection.fetchrow(
            "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as transactions,"
            " (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint as wal"
        )
        assert row is not None
        return row["transactions"], row["wal"]
