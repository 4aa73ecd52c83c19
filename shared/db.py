"""The database handle and the transaction: one request, one transaction, committed at the door."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

import asyncpg
import orjson
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.contracts.envelope import EventData
from shared.kernel.clock import Clock
from shared.kernel.errors import CannotStart
from shared.lanes import LANES_MOST, Lanes
from shared.outbox import NewEvent, append_events

_log = structlog.get_logger()

Result = TypeVar("Result")

_SERVER_SETTINGS: Final = {
    "lock_timeout": "2s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
}
_RETRYABLE: Final = {"40001", "40P01"}  # serialization failure, deadlock
_ATTEMPTS: Final = 3
_READY_TIMEOUT_S: Final = 2.0
_DURABLE: Final = {"fsync": {"on"}, "full_page_writes": {"on"}}
_LOCK_NOT_AVAILABLE: Final = "55P03"
# 08 connection, 28 and 3D no way in, 40 rolled back, 53 out of resources, 55 lock timeout,
# 57 cancelled, 58 system.
_TRANSIENT: Final = {"08", "28", "3D", "40", "53", "55", "57", "58"}


class UnsafeDatabase(CannotStart):
    """The server is set up so that it may forget what it has acknowledged."""


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """When and on whose behalf something is done, and the facts that are noted on the way."""

    #: When the door was knocked at; all decisions take this as the present.
    now: datetime
    #: Who causes it: `key_…`, `event:<producer>`, `job:<name>`.
    actor: str
    events: list[NewEvent] = field(default_factory=list)

    def record(self, data: EventData, *, subject: str) -> None:
        """Note a fact; it goes into the log at commit, together with what caused it."""
        self.events.append(NewEvent(subject=subject, data=data))


@dataclass(frozen=True, kw_only=True)
class Transaction(Occasion):
    """One transaction, as operations see it. Nobody inside commits."""

    session: AsyncSession
    #: Of a job: whom this run has left out so far, because their part of it fails by itself.
    left_out: set[str] = field(default_factory=set)


class Database:
    """Connections to the service's own PostgreSQL database."""

    def __init__(self, url: str, *, service: str, clock: Clock, pool_size: int = 10) -> None:
        self.clock = clock
        #: Called after each commit that wrote events: wakes the relay.
        self.on_events: Callable[[], None] = lambda: None
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            # Lanes hold theirs for long: they come on top, so that the others have no fewer.
            max_overflow=LANES_MOST,
            pool_timeout=4,
            # The most recently used connection is the warmest: a fifth more requests per second.
            pool_use_lifo=True,
            pool_pre_ping=False,
            # The values of a statement may be personal; an error that quotes them gets logged.
            hide_parameters=True,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            connect_args={
                "timeout": 5,
                "command_timeout": 15,
                "server_settings": {**_SERVER_SETTINGS, "application_name": f"huitou-{service}"},
            },
        )
        self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        #: For batches of hot requests.
        self.lanes = Lanes(self.engine)

    @asynccontextmanager
    async def begin(
        self, *, actor: str, left_out: set[str] | None = None
    ) -> AsyncIterator[Transaction]:
        """Open a transaction; commit it with its events at the end, or undo all on an exception.

        `left_out` is what the transactions of one run of a job have in common.
        """
        async with AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session:
            transaction = Transaction(
                session=session,
                now=self.clock.now(),
                actor=actor,
                left_out=set() if left_out is None else left_out,
            )
            async with session.begin():
                yield transaction
                # Flushed last, so that log ids are drawn after the locks of what they tell of.
                await session.flush()
                await append_events(session, transaction.events, occurred_at=transaction.now)
        if transaction.events:
            self.on_events()

    async def run(
        self,
        operation: Callable[[Transaction], Awaitable[Result]],
        *,
        actor: str,
        left_out: set[str] | None = None,
    ) -> Result:
        """Run an operation in a transaction of its own, again when PostgreSQL broke a deadlock."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self.begin(actor=actor, left_out=left_out) as transaction:
                    return await operation(transaction)
            except DBAPIError as error:
                if attempt == _ATTEMPTS or sqlstate(error) not in _RETRYABLE:
                    raise
                await asyncio.sleep(0.01 * attempt)
        raise AssertionError("the loop returns or raises")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session for reads: no transaction, so a read of one statement is one round trip."""
        async with AsyncSession(self._reading, expire_on_commit=False, autoflush=False) as session:
            yield session

    async def refuse_unless_durable(self) -> None:
        """Raise UnsafeDatabase when an acknowledged commit could be lost on a power cut."""
        async with self._reading.connect() as connection:
            for name, wanted in _DURABLE.items():
                found = (await connection.execute(text(f"show {name}"))).scalar_one()
                if found not in wanted:
                    raise UnsafeDatabase(f"PostgreSQL runs with {name} = {found}; it must be on")
            found = (await connection.execute(text("show synchronous_commit"))).scalar_one()
            if found == "off":
                raise UnsafeDatabase("PostgreSQL runs with synchronous_commit = off")

    async def is_ready(self) -> bool:
        """Whether the database answers soon and has been migrated."""
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S), self._reading.connect() as connection:
                await connection.execute(text("select 1 from feed_head"))
        except Exception as error:
            _log.warning("database is not ready", error=type(error).__name__)
            return False
        return True

    async def close(self) -> None:
        """Close all connections."""
        await self.lanes.close()
        await self.engine.dispose()


def sqlstate(error: DBAPIError) -> str | None:
    """The five-character code PostgreSQL gave, if it was PostgreSQL that spoke."""
    return getattr(error.orig, "sqlstate", None)


def is_transient(error: BaseException) -> bool:
    """Whether trying again later, changing nothing, may help: the database or network is away."""
    if isinstance(error, OSError | TimeoutError | PoolTimeout):
        return True
    if isinstance(error, DBAPIError):
        return _may_pass(error)
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "08000")[:2] in _TRANSIENT
    if isinstance(error, asyncpg.InternalClientError):
        # What a connection says that heard its server's last word, but not yet that it has ended.
        return True
    return isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError)


def _may_pass(error: DBAPIError) -> bool:
    state = sqlstate(error)
    if state is None:
        # The driver spoke: the connection is gone, unless it could not even write our values down.
        return error.connection_invalidated or not isinstance(_cause(error), ValueError)
    return error.connection_invalidated or state[:2] in _TRANSIENT


def _cause(error: DBAPIError) -> BaseException | None:
    """What asyncpg itself raised; its own DataError is a ValueError."""
    return error.orig.__cause__ if error.orig is not None else None


def is_lock_timeout(error: DBAPIError) -> bool:
    """Whether a statement gave up waiting for somebody else's row."""
    return sqlstate(error) == _LOCK_NOT_AVAILABLE
