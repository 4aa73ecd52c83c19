"""The ledger whose verification is timed is one that verifies, and would not if it were altered."""

import asyncio

import asyncpg

from bench.fill import ENTRIES_PER_MEMBER, fill
from bench.verifying import chain
from services.loyalty.verify.__main__ import verify
from tests.support.databases import Databases

MEMBERS = 3


async def test_chained_entries_verify(databases: Databases) -> None:
    url = databases.fresh("loyalty")
    await fill(url, first=1, last=MEMBERS)
    assert await chain(url) == (MEMBERS + 1) * ENTRIES_PER_MEMBER  # with the hot member
    assert (await asyncio.to_thread(verify, database=url)).faults == 0

    connection = await asyncpg.connect(url)
    await connection.execute("set session_replication_role = replica")
    await connection.execute("update point_entries set points = points + 1 where seq = 4")
    await connection.close()
    assert (await asyncio.to_thread(verify, database=url)).faults > 0
