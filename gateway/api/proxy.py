"""Passing a request on to its service, and the answer back."""

from collections.abc import Iterable
from typing import Final

from starlette.types import Receive, Send

from gateway.api.bodies import read_body, stream_body
from gateway.api.entry import BODY_METHODS
from gateway.api.inbound import Inbound
from gateway.clients.upstreams import ServiceAway, Upstreams
from gateway.policy import Operation
from shared.http.tokens import Principal
from shared.telemetry import current_request

Header = tuple[bytes, bytes]

# Of this hop alone, or set anew by the server in front; and words that only we speak inside.
_DROPPED: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"date",
        b"server",
        b"x-request-id",
    }
)
_INTERNAL: Final = b"x-internal-"
_UNAUTHENTICATED: Final = 401
_BODILESS: Final = frozenset({204, 304})


class Proxy:
    """Forwards to the services what has been let in."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams

    async def forward(
        self,
        inbound: Inbound,
        operation: Operation,
        *,
        principal: Principal,
        receive: Receive,
        send: Send,
    ) -> None:
        """Pass a request on and answer it.

        Raises ServiceAway, ServiceTooSlow, Unforwardable, and what reading the body raises.
        """
        if operation.streamed:
            await self._stream(inbound, operation, principal, receive, send)
            return
        body = b""
        if operation.method in BODY_METHODS:
            body = await read_body(receive, limit_bytes=operation.body_bytes)
        answer = await self._upstreams.ask(
            service=operation.service,
            operation=operation.id,
            principal=principal,
            method=operation.method,
            target=inbound.target,
            headers=_outbound(inbound),
            body=body,
        )
        _trusted(answer.status)
        headers = _inbound_headers(answer.headers)
        if answer.status not in _BODILESS and not _has_length(headers):
            headers.append((b"content-length", b"%d" % len(answer.body)))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        # To HEAD the head is what GET would get, and the body stays here.
        shown = b"" if inbound.method == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": shown})

    async def _stream(
        self,
        inbound: Inbound,
        operation: Operation,
        principal: Principal,
        receive: Receive,
        send: Send,
    ) -> None:
        body = None
        if operation.method in BODY_METHODS:
            body = stream_body(receive, limit_bytes=operation.body_bytes)
        passing = self._upstreams.stream(
            service=operation.service,
            operation=operation.id,
            principal=principal,
            method=operation.method,
            target=inbound.target,
            headers=[*_outbound(inbound), *([_framing(inbound)] if body else [])],
            body=body,
        )
        async with passing as answer:
            _trusted(answer.status_code)
            headers = _inbound_headers(answer.headers.raw)
            start = {"type": "http.response.start", "status": answer.status_code}
            await send({**start, "headers": headers})
            if inbound.method != "HEAD":
                async for piece in answer.aiter_raw():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _outbound(inbound: Inbound) -> list[Header]:
    headers = list(inbound.passed)
    context = current_request.get()
    if context is not None:
        headers.append((b"x-request-id", context.request_id.encode()))
        if context.traceparent:
            headers.append((b"traceparent", context.traceparent.encode()))
    return headers


def _framing(inbound: Inbound) -> Header:
    length = inbound.headers.get(b"content-length")
    return (b"transfer-encoding", b"chunked") if length is None else (b"content-length", length)


def _inbound_headers(headers: Iterable[Header]) -> list[Header]:
    return [
        (name, value)
        for name, value in ((name.lower(), value) for name, value in headers)
        if name not in _DROPPED and not name.startswith(_INTERNAL)
    ]


def _has_length(headers: Iterable[Header]) -> bool:
    return any(name == b"content-length" for name, _ in headers)


def _trusted(status: int) -> None:
    """A service that does not accept our token is set up wrongly; the caller's key is not at fault.

    Raises ServiceAway.
    """
    if status == _UNAUTHENTICATED:
        raise ServiceAway
