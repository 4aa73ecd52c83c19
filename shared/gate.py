"""A gate for background work: open, or closed while somebody needs it to be still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Open from the start. Whoever closes it can be sure that nobody is inside."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._inside = 0

    def is_open(self) -> bool:
        """Whether work may go on; long work asks between its pieces."""
        return self._open.is_set()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Wait until the gate is open, and be inside."""
        while not self._open.is_set():
            await self._open.wait()
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    def close(self) -> None:
        """Let nobody in any more."""
        self._open.clear()

    async def emptied(self) -> None:
        """Wait until those inside have come out."""
        await self._empty.wait()

    def open(self) -> None:
        """Let everybody in again."""
        self._open.set()
