"""The routes of hot operations: each resolves its few parameters itself, past the router.

Checks what every route checks: the call's token, the idempotency key, the media type and the body.
"""

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, get_type_hints

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from shared.http.access import WrongOperation
from shared.http.hot import HotWrite
from shared.http.inputs import refuse_unknown_query
from shared.http.middleware import header_of
from shared.http.problems import problem_of
from shared.http.tokens import Call, Unauthenticated
from shared.http.writes import KEY_LENGTH_MAX, IdempotencyKeyMissing, fingerprint
from shared.idempotency import Claim

_KEY: Final = re.compile(r"[\x21-\x7e]+")
_UNSUPPORTED_MEDIA: Final = 415
_TOO_LARGE: Final = 413
#: No hot request is nearly as long; the gateway refuses most of what is longer before.
BODY_BYTES_MAX: Final = 1024 * 1024


class HotRoute(APIRoute):
    """A route that resolves its few parameters itself."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        resolve = _resolver(self)

        async def handle(request: Request) -> Response:
            return await resolve(request)

        return handle


class HotPaths:
    """Knows the paths of hot routes and serves them past the router and the framework's layers.

    Going through all routes of a service costs more than all else that a hot request needs.
    """

    def __init__(self, *, routes: Sequence[HotRoute]) -> None:
        self._routes = [
            (method, route, route.path_regex, _resolver(route))
            for route in routes
            for method in route.methods or ()
        ]

    def take(self, scope: Scope) -> bool:
        """Whether a request is for a hot route; if so, the route is noted in its scope."""
        if scope["type"] != "http":
            return False
        asked, path = scope["method"], scope["path"]
        for method, route, pattern, resolve in self._routes:
            if asked == method and (matched := pattern.match(path)) is not None:
                scope["route"] = route
                scope["path_params"] = matched.groupdict()
                scope["huitou.resolve"] = resolve
                return True
        return False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await scope["huitou.resolve"](request)
        except ClientDisconnect:
            return
        except Exception as error:
            response = await problem_of(request, error)
        await response(scope, receive, send)


def hot_routes(routers: Sequence[APIRouter]) -> list[HotRoute]:
    """The hot routes among those of some routers."""
    return [route for one in routers for route in one.routes if isinstance(route, HotRoute)]


def _resolver(route: APIRoute) -> "_Reading":
    return _Reading(route) if "GET" in (route.methods or ()) else _Writing(route)


class _Reading:
    """From a request to a call of a handler that takes path parameters and the request."""

    def __init__(self, route: APIRoute) -> None:
        self._operation = route.operation_id
        self._endpoint: Callable[..., Awaitable[Response]] = route.endpoint
        self._hints = _parameters(route.endpoint)
        self._path = {
            name: TypeAdapter(hint)
            for name, hint in self._hints.items()
            if name in route.param_convertors
        }

    async def __call__(self, request: Request) -> Response:
        self._call_of(request)
        refuse_unknown_query(request)
        return await self._endpoint(**self._path_of(request.path_params), request=request)

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


class _Writing(_Reading):
    """From a request to a call of a handler that takes a body and a `HotWrite` besides."""

    def __init__(self, route: APIRoute) -> None:
        super().__init__(route)
        hints = self._hints
        bodies = [name for name in hints if name not in {*self._path, "write", "request"}]
        if len(bodies) != 1 or "write" not in hints:
            raise TypeError(f"{route.path}: a hot write takes path parameters, one body, a write")
        self._body_name = bodies[0]
        self._body = TypeAdapter(hints[self._body_name])
        self._wants_request = "request" in hints

    async def __call__(self, request: Request) -> Response:
        call = self._call_of(request)
        refuse_unknown_query(request)
        arguments: dict[str, Any] = self._path_of(request.path_params)
        raw = await _read(request.receive)
        write = self._write_of(request, call, raw)
        arguments[self._body_name] = self._body_of(request, raw)
        arguments["write"] = write
        if self._wants_request:
            arguments["request"] = request
        return await self._endpoint(**arguments)

    def _write_of(self, request: Request, call: Call, raw: bytes) -> HotWrite:
        key = header_of(request.scope, b"idempotency-key")
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
        given = header_of(request.scope, b"content-type") or ""
        media_type = given.partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise HTTPException(_UNSUPPORTED_MEDIA)
        try:
            return self._body.validate_json(raw)
        except ValidationError as error:
            raise _invalid(error, "body") from None


async def _read(receive: Receive) -> bytes:
    """The whole body, at once in the ordinary case. Raises HTTPException 413."""
    raw = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece: bytes = message.get("body", b"")
        raw += piece
        if len(raw) > BODY_BYTES_MAX:
            raise HTTPException(_TOO_LARGE)
        if not message.get("more_body", False):
            return raw


def _parameters(endpoint: Callable[..., Any]) -> dict[str, Any]:
    # With extras: the constraints stand in Annotated.
    hints = get_type_hints(endpoint, include_extras=True)
    return {name: hint for name, hint in hints.items() if name != "return"}


def _invalid(error: ValidationError, where: str) -> RequestValidationError:
    found = error.errors(include_url=False, include_input=False)
    return RequestValidationError([{**one, "loc": (where, *one["loc"])} for one in found])
