"""The transport under all our HTTP clients: plain HTTP/1.1 between the parts of one deployment.

httpx is the interface; this stands below it because httpx's own pool walks all its connections
for every request and parses in Python, which costs most of a busy gateway's time. No TLS, no
HTTP/2, no proxies, no redirects: an upstream is a named neighbour.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx

from shared.http.transport_connection import TransportLimits
from shared.http.transport_pool import Pool
from shared.http.transport_reply import OversizedAnswer, Reply
from shared.http.transport_wire import (
    Deadline,
    Headers,
    Origin,
    Outgoing,
    Patience,
    Timeouts,
    origin_of,
    streamed_request,
    whole_request,
)

__all__ = ["Exchange", "Origin", "OversizedAnswer", "Transport", "TransportLimits"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A whole answer. Header names are in lower case and all are there, those of the hop
    (`connection`, `transfer-encoding`) too; the body is free of chunks."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Transport(httpx.AsyncBaseTransport):
    """Keeps connections per origin; for one event loop. Close it with `aclose`."""

    def __init__(self, *, limits: TransportLimits | None = None) -> None:
        self._limits = limits or TransportLimits()
        self._pools: dict[Origin, Pool] = {}

    async def exchange(
        self,
        *,
        origin: Origin,
        method: str,
        target: bytes,
        headers: Headers,
        body: bytes = b"",
        deadline_s: float,
    ) -> Exchange:
        """Send a request whose body is in memory and wait, `deadline_s` in all, for the answer.

        The transport adds content-length, and the host unless it is given. This is the short way
        for hot paths; it raises the same errors as httpx does: httpx.TransportError and its
        kinds, among them OversizedAnswer, and httpx.LocalProtocolError for a malformed request.
        """
        outgoing = whole_request(
            origin=origin, method=method, target=target, headers=headers, body=body
        )
        patience = Deadline(seconds=deadline_s)
        reply = await self._ask(origin=origin, outgoing=outgoing, patience=patience, whole=True)
        return Exchange(reply.status, reply.headers, b"".join(reply.chunks))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """What httpx calls: sends the request and returns once the head of the answer is here.

        Both bodies are streamed. Raises httpx.TransportError and its kinds.
        """
        origin = origin_of(url=request.url)
        outgoing = streamed_request(request=request)
        patience = Timeouts(request=request)
        reply = await self._ask(origin=origin, outgoing=outgoing, patience=patience, whole=False)
        return httpx.Response(
            status_code=reply.status,
            headers=reply.headers,
            stream=_AnswerStream(reply=reply, patience=patience),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def aclose(self) -> None:
        """End all connections, those in use too."""
        for pool in self._pools.values():
            pool.close()

    async def _ask(
        self, *, origin: Origin, outgoing: Outgoing, patience: Patience, whole: bool
    ) -> Reply:
        pool = self._pools.get(origin) or self._open(origin)
        connection = pool.take() or await pool.acquire(patience=patience)
        reply = connection.begin(outgoing=outgoing, whole=whole, patience=patience)
        try:
            await reply.arrive(patience=patience)
        except httpx.TransportError:
            if not (outgoing.repeatable and reply.unanswered):
                raise
            connection = await pool.acquire(patience=patience, fresh=True)
            reply = connection.begin(outgoing=outgoing, whole=whole, patience=patience)
            await reply.arrive(patience=patience)
        return reply

    def _open(self, origin: Origin) -> Pool:
        return self._pools.setdefault(origin, Pool(origin=origin, limits=self._limits))


class _AnswerStream(httpx.AsyncByteStream):
    def __init__(self, *, reply: Reply, patience: Patience) -> None:
        self._reply = reply
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._reply.piece(patience=self._patience):
            yield piece

    async def aclose(self) -> None:
        self._reply.abandon()
