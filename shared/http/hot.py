"""The short way for hot operations: the same contract as any route, a tenth of the overhead.

A hot route is declared like any other, so OpenAPI shows its parameters, body and replies. Its
handler takes nothing but path parameters, one body and a `HotWrite`; these it finds by itself:
the body is validated once, straight from the bytes, and the reply is serialised once.
"""

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar, get_type_hints

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from shared.batch_runner import BatchRunner
from shared.batches import Answered, BatchOperation, NeedsCare, Submission
from shared.batching import Collector
from shared.db import Database, Transaction
from shared.http.access import WrongOperation
from shared.http.problems import problem_of, refusal_problem, request_language
from shared.http.tokens import Call, Unauthenticated
from shared.http.writes import (
    KEY_LENGTH_MAX,
    IdempotencyKeyHeader,
    IdempotencyKeyMissing,
    Reply,
    Write,
    fingerprint,
    stored_problem,
    stored_response,
)
from shared.idempotency import Claim, Stored
from shared.kernel.errors import Refusal

Command = TypeVar("Command")
State = TypeVar("State")
Result = TypeVar("Result")

_KEY: Final = re.compile(r"[\x21-\x7e]+")
_UNSUPPORTED_MEDIA: Final = 415


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
        except NeedsCare:
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


class HotRoute(APIRoute):
    """A route that resolves its few parameters itself."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        resolve = _Resolver(self)

        async def handle(request: Request) -> Response:
            return await resolve(request)

        return handle


class HotPaths:
    """Knows the paths of hot routes and serves them past the router and the framework's layers.

    Going through all routes of a service costs more than all else that a hot request needs.
    """

    def __init__(self, *, routes: Sequence[HotRoute]) -> None:
        self._routes = [(route, route.path_regex, _Resolver(route)) for route in routes]

    def take(self, scope: Scope) -> bool:
        """Whether a request is for a hot route; if so, the route is noted in its scope."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return False
        for route, pattern, resolve in self._routes:
            matched = pattern.match(scope["path"])
            if matched is not None:
                scope["route"] = route
                scope["path_params"] = matched.groupdict()
                scope["huitou.resolve"] = resolve
                return True
        return False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await scope["huitou.resolve"](request)
        except Exception as error:
            response = await problem_of(request, error)
        await response(scope, receive, send)


def hot_routes(routers: Sequence[APIRouter]) -> list[HotRoute]:
    """The hot routes among those of some routers."""
    return [route for one in routers for route in one.routes if isinstance(route, HotRoute)]


class _Resolver:
    """From a request to a call of the handler."""

    def __init__(self, route: APIRoute) -> None:
        self._operation = route.operation_id
        self._endpoint: Callable[..., Awaitable[Response]] = route.endpoint
        hints = _parameters(route.endpoint)
        self._path = {
            name: TypeAdapter(hint)
            for name, hint in hints.items()
            if name in route.param_convertors
        }
        bodies = [name for name in hints if name not in {*self._path, "write", "request"}]
        if len(bodies) != 1 or "write" not in hints:
            raise TypeError(f"{route.path}: a hot route takes path parameters, one body, a write")
        self._body_name = bodies[0]
        self._body = TypeAdapter(hints[self._body_name])
        self._wants_request = "request" in hints

    async def __call__(self, request: Request) -> Response:
        call = self._call_of(request)
        arguments: dict[str, Any] = self._path_of(request.path_params)
        raw = await request.body()
        write = self._write_of(request, call, raw)
        arguments[self._body_name] = self._body_of(request, raw)
        arguments["write"] = write
        if self._wants_request:
            arguments["request"] = request
        return await self._endpoint(**arguments)

    def _call_of(self, request: Request) -> Call:
        call = request.scope.get("state", {}).get("call")
        if not isinstance(call, Call):
            raise Unauthenticated
        if call.operation != self._operation:
            raise WrongOperation
        return call

    def _path_of(self, given: Mapping[str, str]) -> dict[str, Any]:
        try:
            return {name: one.validate_python(given[name]) for name, one in self._path.items()}
        except ValidationError as error:
            raise _invalid(error, "path") from None

    def _write_of(self, request: Request, call: Call, raw: bytes) -> HotWrite:
        key = request.headers.get("idempotency-key")
        if key is None:
            raise IdempotencyKeyMissing
        if len(key) > KEY_LENGTH_MAX or not _KEY.fullmatch(key):
            loc = ("header", "Idempotency-Key")
            raise RequestValidationError([{"type": "string_pattern_mismatch", "loc": loc}])
        actor = call.principal.actor
        claim = Claim(
            scope=f"{actor} {self._operation}",
            key=key,
            fingerprint=fingerprint(path=request.scope["path"], body=raw),
        )
        return HotWrite(request=request, actor=actor, claim=claim, body=raw)

    def _body_of(self, request: Request, raw: bytes) -> Any:
        if not raw:
            raise RequestValidationError([{"type": "missing", "loc": ("body",)}])
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise HTTPException(_UNSUPPORTED_MEDIA)
        try:
            return self._body.validate_json(raw)
        except ValidationError as error:
            raise _invalid(error, "body") from None


def _parameters(endpoint: Callable[..., Any]) -> dict[str, Any]:
    # With extras: the constraints stand in Annotated.
    hints = get_type_hints(endpoint, include_extras=True)
    return {name: hint for name, hint in hints.items() if name != "return"}


def _invalid(error: ValidationError, where: str) -> RequestValidationError:
    found = error.errors(include_url=False, include_input=False)
    return RequestValidationError([{**one, "loc": (where, *one["loc"])} for one in found])
