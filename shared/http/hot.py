"""The short way for hot operations: the same contract as any route, a tenth of the overhead.

A hot route is declared like any other, so OpenAPI shows its parameters, body and replies. Its
handler takes nothing but path parameters, one body and a `HotWrite`; these it finds by itself:
the body is validated once, straight from the bytes, and the reply is serialised once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Request, Response

from shared.batch_runner import BatchRunner
from shared.batches import (
    Answered,
    BatchOperation,
    NeedsCare,
    NeedsOwnTransaction,
    Submission,
)
from shared.batching import Collector
from shared.db import Database, Transaction
from shared.http.problems import refusal_problem, request_language
from shared.http.writes import (
    IdempotencyKeyHeader,
    Reply,
    Write,
    stored_problem,
    stored_response,
)
from shared.idempotency import Claim, Stored
from shared.kernel.errors import Refusal

Command = TypeVar("Command")
State = TypeVar("State")
Result = TypeVar("Result")


class HotWrite:
    """One write request on its way into a batch."""

    def __init__(self, *, request: Request, actor: str, claim: Claim, body: bytes) -> None:
        self._request = request
        self._actor = actor
        self._claim = claim
        self._body = body

    async def run(
        self,
        door: "BatchDoor[Command, Any, Result]",
        command: Command,
        *,
        reply: Callable[[Result], Reply],
        otherwise: Callable[[Transaction], Awaitable[Result]] | None = None,
    ) -> Response:
        """Run a command once for this key, together with whatever else arrives, and answer.

        `otherwise` does what batches leave to an ordinary transaction of its own. Raises what the
        operation refuses, IdempotencyKeyReused and IdempotencyInFlight.
        """
        submission: Submission[Command, Result] = Submission(
            subject=door.operation.subject(command),
            command=command,
            actor=self._actor,
            claim=self._claim,
            reply=lambda result: reply(result).stored(),
            refusal=self._refusal,
        )
        door.collector.submit(submission)
        try:
            answered = await submission.outcome
        except (NeedsCare, NeedsOwnTransaction):
            if otherwise is None:
                raise
            return await self.ordinary(otherwise, reply=reply)
        assert isinstance(answered, Answered)
        return stored_response(answered.stored, replayed=answered.replayed)

    async def ordinary(
        self,
        operation: Callable[[Transaction], Awaitable[Result]],
        *,
        reply: Callable[[Result], Reply],
    ) -> Response:
        """Run an operation in a transaction of its own, under the same key."""
        write = Write(
            request=self._request,
            database=self._request.app.state.database,
            actor=self._actor,
            key=self._claim.key,
            body=self._body,
        )
        return await write.run(operation, reply=reply)

    def _refusal(self, refusal: Refusal) -> Stored:
        language = request_language(self._request)
        path = self._request.scope["path"]
        return stored_problem(refusal_problem(refusal, language=language, instance=path))


@dataclass(frozen=True, kw_only=True)
class BatchDoor(Generic[Command, State, Result]):
    """A hot operation and the collector before it."""

    operation: BatchOperation[Command, State, Result]
    collector: Collector[Submission[Command, Result]]


def open_door(
    *, database: Database, operation: BatchOperation[Command, State, Result]
) -> BatchDoor[Command, State, Result]:
    """Set a collector before a hot operation."""
    runner = BatchRunner(database=database, operation=operation)
    return BatchDoor(operation=operation, collector=Collector(run=runner.run))


def _documented(_key: IdempotencyKeyHeader = None) -> HotWrite:
    """What OpenAPI shows of a hot write; the route makes it without FastAPI's resolver."""
    raise AssertionError("a HotWrite is only had on a HotRoute")


HotKeyedWrite = Annotated[HotWrite, Depends(_documented)]
