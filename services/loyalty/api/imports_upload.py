"""One upload: a file read as it comes, stored batch by batch, its progress told as it goes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final, Generic, TypeVar

import structlog
from starlette.requests import ClientDisconnect

from services.loyalty.api.imports_lines import FileRefused, LineReader
from services.loyalty.domain.imports import BATCH_LINES, Line, LineRefusal
from services.loyalty.domain.imports_lines import LineSplitter, RawLine
from services.loyalty.operations.imports import (
    Batch,
    BatchCounted,
    ImportSuperseded,
    OpenImport,
    finish_import,
)
from services.loyalty.operations.imports_members import OwnersMoved
from services.loyalty.store.tables import Import
from shared.db import Database, Transaction, is_transient

_log = structlog.get_logger()

MAX_BYTES: Final = 512 * 1024 * 1024
#: A caller that sends nothing for so long has gone away.
SILENCE_S: Final = 30.0
#: What has come is stored at least this often, however slowly lines come.
_STORE_EVERY_S: Final = 5.0

#: How long to wait between attempts to store a batch while the database is away or too busy.
_PATIENCE_S: Final = (0.1, 0.5, 2.0, 5.0, 10.0)

Result = TypeVar("Result")
Report = Callable[[Import], None]
#: Stores a batch of an import, in a transaction, and says how far the import is then.
Take = Callable[[Transaction, Import, Batch[Line]], Awaitable[Import]]


class Upload(Generic[Line]):
    """Takes one file into one import."""

    def __init__(
        self,
        *,
        database: Database,
        opened: OpenImport,
        reader: LineReader[Line],
        take: Take[Line],
        silence_s: float = SILENCE_S,
    ) -> None:
        self._database = database
        self._row = opened.row
        self._attempt = opened.row.attempt
        self._reader = reader
        self._take = take
        self._splitter = LineSplitter()
        self._silence_s = silence_s
        self._lines: list[Line] = []
        self._refusals: list[LineRefusal] = []
        self._digest = hashlib.sha256()

    async def take(self, pieces: AsyncIterator[bytes], *, report: Report) -> Import:
        """Read the file to its end and say how the import ended; nothing is raised.

        Whatever stops it, the lines stored so far stay, and the import says why it failed.
        """
        error: str | None = None
        try:
            await self._take_all(pieces, report=report)
        except ImportSuperseded:
            return self._superseded()
        except Exception as failure:
            error = _code_of(failure)
        return await self._finish(error=error, body_hash=None if error else self._digest.digest())

    async def _take_all(self, pieces: AsyncIterator[bytes], *, report: Report) -> None:
        clock = asyncio.get_running_loop().time
        stored_at, size = clock(), 0
        async for piece in hurried(pieces, silence_s=self._silence_s):
            size += len(piece)
            if size > MAX_BYTES:
                raise FileRefused("file_too_large")
            self._digest.update(piece)
            for _ in self._full_batches(self._splitter.feed(piece)):
                report(await self._store())
                stored_at = clock()
            if clock() - stored_at > _STORE_EVERY_S:
                report(await self._store())
                stored_at = clock()
        for _ in self._full_batches(self._splitter.end()):
            report(await self._store())
        self._reader.end()
        if self._lines or self._refusals:
            report(await self._store())

    def _full_batches(self, raw_lines: list[RawLine]) -> Iterator[None]:
        """Read lines, and stop each time a batch is full, for it to be stored."""
        for raw in raw_lines:
            read = self._reader.read(raw)
            if isinstance(read, LineRefusal):
                self._refusals.append(read)
            elif read is not None:
                self._lines.append(read)
            if len(self._lines) + len(self._refusals) >= BATCH_LINES:
                yield

    async def _store(self) -> Import:
        batch = Batch(lines=self._lines, refusals=self._refusals)
        self._lines, self._refusals = [], []

        def store(transaction: Transaction) -> Awaitable[Import]:
            return self._take(transaction, self._row, batch)

        try:
            self._row = await _patiently(lambda: self._database.run(store, actor=self._row.actor))
        except BatchCounted as counted:
            # An attempt before was committed, and the connection broke before it could say so.
            self._row = counted.row
        return self._row

    async def _finish(self, *, error: str | None, body_hash: bytes | None) -> Import:
        try:
            return await self._database.run(
                lambda transaction: finish_import(
                    transaction,
                    import_id=self._row.id,
                    attempt=self._attempt,
                    error=error,
                    body_hash=body_hash,
                ),
                actor=self._row.actor,
            )
        except ImportSuperseded:
            return self._superseded()
        except Exception as failure:
            # The database is away: the job that finds silent imports will mark it as failed.
            code = _code_of(failure)
            return Import(**{**self._row.model_dump(), "state": "failed", "error": code})

    def _superseded(self) -> Import:
        facts = {**self._row.model_dump(), "state": "failed", "error": "upload_superseded"}
        return Import(**facts)


async def _patiently(work: Callable[[], Awaitable[Result]]) -> Result:
    """Do work that may be repeated, again and again while what stops it may pass."""
    for wait_s in _PATIENCE_S:
        try:
            return await work()
        except Exception as failure:
            if not is_transient(failure) and not isinstance(failure, OwnersMoved):
                raise
        await asyncio.sleep(wait_s)
    return await work()


async def hurried(pieces: AsyncIterator[bytes], *, silence_s: float) -> AsyncIterator[bytes]:
    """The same pieces. Raises TimeoutError when the next one does not come in time."""
    while True:
        async with asyncio.timeout(silence_s):
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
        yield piece


def _code_of(failure: Exception) -> str:
    """Why an upload failed, as a code."""
    if isinstance(failure, FileRefused):
        return failure.code
    if isinstance(failure, ClientDisconnect):
        return "upload_broken"
    if isinstance(failure, TimeoutError):
        return "upload_stalled"
    if is_transient(failure) or isinstance(failure, OwnersMoved):
        _log.warning("import interrupted", error=type(failure).__name__)
        return "service_interrupted"
    _log.error("import failed", exc_info=failure)
    return "internal_error"
