"""Making requests meet: all stand before the same lock until enough of them do, then it opens.

Without it the first request would often be done before the others have a connection, and a race
that nobody runs is won by any code.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.support.service import ServiceUnderTest, Starter
from tests.support.waiting import until

T = TypeVar("T")

ACCOUNTS = "select * from accounts for update"
_WAITING = """
    select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'
"""


def order_lock(order_id: str) -> str:
    """The lock on an order's id."""
    return f"select pg_advisory_xact_lock(hashtextextended('{order_id}', 42))"


async def replicas_of(
    loyalty: ServiceUnderTest, start: Starter, *, count: int
) -> list[ServiceUnderTest]:
    """More processes' worth of the same service, on the same database; itself among them.

    One process serves all that arrive together in one transaction, so a race needs several.
    """
    url = loyalty.database.engine.url.render_as_string(hide_password=False)
    more = [await start("loyalty", clock=loyalty.clock, database_url=url) for _ in range(count - 1)]
    return [loyalty, *more]


async def race(
    loyalty: ServiceUnderTest, *calls: Coroutine[Any, Any, T], at: str, meeting: int
) -> list[T]:
    """Run calls together, so that `meeting` of them wait for the lock `at` at the same time."""
    engine = create_async_engine(loyalty.database.engine.url, poolclass=NullPool)
    try:
        async with engine.connect() as holder, engine.connect() as watcher:
            await holder.execute(text(at))

            async def met() -> bool:
                waiting = (await watcher.execute(text(_WAITING))).scalar_one()
                await watcher.rollback()
                return bool(waiting >= meeting)

            running = [asyncio.ensure_future(call) for call in calls]
            await until(met, what="the requests to meet")
            await holder.rollback()
            return await asyncio.gather(*running)
    finally:
        await engine.dispose()


async def second(loyalty: ServiceUnderTest, call: Coroutine[Any, Any, T]) -> T:
    """Run a call of a race once another one waits for a lock."""

    async def somebody_waits() -> bool:
        return bool(await loyalty.scalar(_WAITING))

    await until(somebody_waits, what="the first to wait")
    return await call
