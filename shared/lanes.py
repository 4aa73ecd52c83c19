"""Connections for hot statements: the driver's own, without the layers in between.

SQLAlchemy's pool makes and keeps them (addresses, limits, settings in one place); a lane holds one
for long and talks asyncpg to it, which costs a tenth.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeAlias, cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.batching import LANES

Connection: TypeAlias = asyncpg.Connection
#: How many connections lanes may hold in a process: all lanes of its batch operations and batched
#: reads while all are busy. Loyalty has the most of these, four and one; a test counts them.
LANES_MOST: Final = 5 * LANES

#: What the driver says when it does not know how a connection stands.
_LOST: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

# The few statements here are prepared once, and reach every row by its key. A planner that thinks
# of a hundred rows where there are ten, or of a table as still small, would read it whole.
_SETTINGS: Final = """
    set plan_cache_mode = force_generic_plan;
    set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off;
    set enable_material = off; set jit = off;
    set lock_timeout = '300ms'
"""
#: A batch waits for nobody's row for long, since all of it would wait; who is alone may, for the
#: rest of the transaction, as long as any other write.
WAIT_LONG: Final = "set local lock_timeout = '2s'"


class Lanes:
    """A stack of held connections, the most recently used on top."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._free: list[tuple[AsyncConnection, Connection]] = []

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Connection]:
        """A connection that is not inside a transaction; thrown away if it may be in any doubt."""
        held, connection = await self._sound_one()
        sound = False
        try:
            yield connection
            sound = True
        except Exception as error:
            # PostgreSQL said no, or whoever has it thought better of it: it is as good as it says.
            idle = not connection.is_closed() and not connection.is_in_transaction()
            sound = idle and not isinstance(error, _LOST)
            raise
        finally:
            if sound:
                self._free.append((held, connection))
            else:
                connection.terminate()
                await held.invalidate()
                await held.close()

    async def _sound_one(self) -> tuple[AsyncConnection, Connection]:
        """One from the stack, or a new one; those whose server has died meanwhile are let go."""
        while self._free:
            held, connection = self._free.pop()
            if not connection.is_closed():
                return held, connection
            await held.invalidate()
            await held.close()
        return await self._open()

    async def close(self) -> None:
        """Give all connections back."""
        while self._free:
            held, _ = self._free.pop()
            await held.invalidate()
            await held.close()

    async def _open(self) -> tuple[AsyncConnection, Connection]:
        held = await self._engine.connect()
        raw = await held.get_raw_connection()
        connection = cast("Connection", raw.driver_connection)
        try:
            await connection.execute(_SETTINGS)
        except BaseException:
            await held.invalidate()
            await held.close()
            raise
        return held, connection
