"""What surrounds every request of a service: its id, its log line, its measure, its token."""

import re
import time
from typing import Final

from opentelemetry import trace
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.problems import fault_problem, refusal_problem, request_language
from shared.http.tokens import TokenVerifier, Unauthenticated
from shared.kernel.clock import Clock
from shared.kernel.ids import new_id
from shared.telemetry import (
    RequestContext,
    count_request,
    current_request,
    log_request,
    traced,
    valid_traceparent,
)

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._\-]{1,64}")
#: What is counted and logged when the caller left before there was an answer: nginx's number.
CALLER_GONE: Final = 499
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})


class RequestScope:
    """Outermost: gives the request its id and trace, answers with it, logs and counts the reply."""

    def __init__(self, app: ASGIApp, *, service: str, clock: Clock) -> None:
        self._app = app
        self._service = service
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = header_of(scope, b"x-request-id") or ""
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = new_id("req", at=self._clock.now())
        parent = valid_traceparent(header_of(scope, b"traceparent"))
        name = f"{self._service} {scope['method']}"
        with traced(name, parent=parent, kind=trace.SpanKind.SERVER) as (span, traceparent):
            context = RequestContext(request_id=request_id, traceparent=traceparent)
            token = current_request.set(context)
            try:
                await self._serve(scope, receive, send, request_id=request_id, span=span)
            finally:
                current_request.reset(token)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, *, request_id: str, span: trace.Span
    ) -> None:
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
            status = status or CALLER_GONE
        except Exception as error:
            # Here and not outside, where the request's id would be forgotten already.
            if status:
                raise
            await fault_problem(Request(scope), error)(scope, receive, send_with_id)
        finally:
            status = status or 500
            seconds = time.perf_counter() - started
            operation = operation_of(scope)
            span.set_attribute("http.response.status_code", status)
            span.set_attribute("huitou.operation", operation)
            count_request(self._service, operation, status, seconds=seconds)
            if scope["path"] not in OPEN_PATHS:
                log_request(
                    service=self._service,
                    operation=operation,
                    method=scope["method"],
                    status=status,
                    ms=round(seconds * 1000, 1),
                )


class InternalAccess:
    """Lets nothing in without a valid internal token, before anything of the request is read."""

    def __init__(self, app: ASGIApp, *, verifier: TokenVerifier) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            scheme, _, token = (header_of(scope, b"authorization") or "").partition(" ")
            try:
                if scheme.lower() != "bearer":
                    raise Unauthenticated
                scope.setdefault("state", {})["call"] = self._verifier.verify(token)
            except Unauthenticated as refusal:
                answer = refusal_problem(
                    refusal, language=request_language(Request(scope)), instance=scope["path"]
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def operation_of(scope: Scope) -> str:
    """The operation id of the route that took the request, `none` when none did."""
    return getattr(scope.get("route"), "operation_id", None) or "none"


def header_of(scope: Scope, wanted: bytes) -> str | None:
    """The last value of a header, its name in lower case."""
    found: bytes | None = None
    for name, value in scope["headers"]:
        if name == wanted:
            found = value
    return None if found is None else found.decode("latin-1")
