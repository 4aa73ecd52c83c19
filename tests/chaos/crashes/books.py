"""The databases of a running system, read past its services."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from shared.settings import async_url


class Still:
    """A database as it was at one moment, whatever goes on in it meanwhile."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """What a statement finds."""
        return list((await self._connection.execute(text(statement), parameters)).all())


class Books:
    """One database, for statements that only look."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: AsyncEngine = create_async_engine(async_url(url), poolclass=NullPool)

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """What a statement finds."""
        async with self._engine.connect() as connection:
            return list((await connection.execute(text(statement), parameters)).all())

    async def scalar(self, statement: str, **parameters: Any) -> Any:
        """The single value a statement finds."""
        [row] = await self.rows(statement, **parameters)
        return row[0]

    @asynccontextmanager
    async def still(self) -> AsyncIterator[Still]:
        """The database as it is now, for many statements."""
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            yield Still(connection)

    async def change(self, *statements: str) -> None:
        """Run statements in one transaction."""
        async with self._engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()


@asynccontextmanager
async def opened(urls: Sequence[str]) -> AsyncIterator[Sequence[Books]]:
    """Several databases, closed at the end."""
    books = [Books(url) for url in urls]
    try:
        yield books
    finally:
        for one in books:
            await one.close()
