"""The kept connections to one upstream: a stack, so that the most recently used serves next."""

import asyncio
from collections import deque

import httpx

from shared.http.transport_connection import Connection, TransportLimits
from shared.http.transport_wire import Origin, Patience


class Pool:
    """Never more than the limit of connections; whoever finds none queues, first come first."""

    def __init__(self, *, origin: Origin, limits: TransportLimits) -> None:
        self._origin = origin
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._connections: set[Connection] = set()
        self._slots_taken = 0  # connections and attempts to connect
        # A connection is handed over in person, or None: a slot to connect in.
        self._queue: deque[asyncio.Future[Connection | None]] = deque()
        self._closed = False

    def take(self) -> Connection | None:
        """The most recently used idle connection, if one is fit."""
        if not self._idle:
            return None
        self._drop_stale()
        return self._idle.pop() if self._idle else None

    async def acquire(self, *, patience: Patience, fresh: bool = False) -> Connection:
        """A connection to use; with `fresh` one that has never served.

        Raises httpx.PoolTimeout, httpx.ConnectTimeout, httpx.ConnectError.
        """
        while True:
            if self._closed:
                raise httpx.ConnectError("The transport is closed")
            if not fresh and (connection := self.take()) is not None:
                return connection
            if self._slots_taken < self._limits.connections_per_origin:
                self._slots_taken += 1
                return await self._connect(patience)
            if self._idle:
                self._idle[0].discard()  # it only stands in the way of a fresh one
                continue
            handed = await self._stand_in_line(patience)
            if handed is None:
                return await self._connect(patience)
            if handed.usable and not fresh:
                return handed
            if handed.usable:
                self._slots_taken += 1  # taken before it gets free, so that nobody else has it
                handed.discard()
                return await self._connect(patience)

    def give_back(self, connection: Connection) -> None:
        """A connection has served and is fit for more."""
        while self._queue:
            waiting = self._queue.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        self._drop_stale()

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        if connection not in self._connections:
            return  # it never came to stand, and its slot is freed where that failed
        self._connections.remove(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()

    def close(self) -> None:
        """End all connections, idle or not, and let nobody wait any longer."""
        self._closed = True
        for waiting in self._queue:
            if not waiting.done():
                waiting.set_exception(httpx.ConnectError("The transport is closed"))
        for connection in tuple(self._connections):
            connection.discard()

    def _drop_stale(self) -> None:
        # The longest idle ones lie at the bottom. One look at the bottom, as a rule.
        oldest = self._loop.time() - self._limits.idle_s
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle[0].discard()

    def _free_slot(self) -> None:
        self._slots_taken -= 1
        while self._queue and self._slots_taken < self._limits.connections_per_origin:
            waiting = self._queue.popleft()
            if not waiting.done():
                self._slots_taken += 1
                waiting.set_result(None)

    async def _stand_in_line(self, patience: Patience) -> Connection | None:
        waiting: asyncio.Future[Connection | None] = self._loop.create_future()
        self._queue.append(waiting)
        try:
            async with asyncio.timeout(patience.pool()):
                return await waiting
        except (TimeoutError, asyncio.CancelledError) as error:
            self._pass_on(waiting)
            if isinstance(error, TimeoutError):
                raise httpx.PoolTimeout("All connections to the upstream are busy") from None
            raise

    def _pass_on(self, waiting: asyncio.Future[Connection | None]) -> None:
        # It may have been handed something in the very moment in which it stopped waiting.
        if not waiting.done() or waiting.cancelled() or waiting.exception() is not None:
            return
        handed = waiting.result()
        if handed is None:
            self._free_slot()
        elif handed.usable:
            self.give_back(handed)

    async def _connect(self, patience: Patience) -> Connection:
        host, port = self._origin
        try:
            async with asyncio.timeout(patience.connect()):
                _, connection = await self._loop.create_connection(self._new, host, port)
        except BaseException as error:
            self._free_slot()
            if isinstance(error, TimeoutError):
                raise httpx.ConnectTimeout(f"{host}:{port} does not accept") from None
            if isinstance(error, OSError | UnicodeError):
                raise httpx.ConnectError(f"{host}:{port}: {error}") from error
            raise
        return self._keep(connection)

    def _new(self) -> Connection:
        return Connection(home=self, limits=self._limits)

    def _keep(self, connection: Connection) -> Connection:
        self._connections.add(connection)
        if self._closed:
            connection.discard()
            raise httpx.ConnectError("The transport is closed")
        return connection
