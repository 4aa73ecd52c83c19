"""Fills a migrated loyalty database by set-based SQL: members, orders, lots, entries."""

from pathlib import Path
from typing import Final

import asyncpg

from bench.requests import FILLED_ORDERS, HOT

_SQL: Final = Path(__file__).parent / "sql"
#: Orders, and so lots, of each filled member; each makes two entries.
LOTS: Final = FILLED_ORDERS
ENTRIES_PER_MEMBER: Final = 2 * LOTS
_POINTS: Final = 1_000
_HOT_POINTS: Final = 100_000_000
#: Members filled in one transaction.
_PIECE: Final = 20_000


async def fill(url: str, *, first: int, last: int) -> None:
    """Add the members of these numbers and bring the statistics up to date.

    `url` is a superuser's, who may vacuum and checkpoint. Number 1 brings along the hot member,
    who is rich and in the highest tier.
    """
    connection = await asyncpg.connect(url, command_timeout=3600)
    try:
        if first == 1:
            await _piece(connection, first=HOT, last=HOT, points=_HOT_POINTS, tier="diamond")
        for start in range(first, last + 1, _PIECE):
            end = min(last, start + _PIECE - 1)
            await _piece(connection, first=start, last=end, points=_POINTS, tier="regular")
        await connection.execute("vacuum (analyze)")
        await connection.execute("checkpoint")
    finally:
        await connection.close()


async def install_raw(url: str) -> None:
    """Create the functions of the raw limit in a database."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute((_SQL / "raw.sql").read_text("utf-8"))
    finally:
        await connection.close()


async def _piece(
    connection: "asyncpg.Connection[asyncpg.Record]",
    *,
    first: int,
    last: int,
    points: int,
    tier: str,
) -> None:
    script = (_SQL / "fill.sql").read_text("utf-8")
    await connection.execute(
        script.format(first=first, last=last, lots=LOTS, points=f"{points}::bigint", tier=tier)
    )
