"""A small service that records what reaches it and answers as it is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.types import Message, Receive, Scope, Send

from shared.http.tokens import Call, TokenVerifier
from tests.support.serving import serving


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    raw_path: str
    query: str
    headers: dict[str, str]
    body: bytes
    #: What the internal token says.
    call: Call


@dataclass
class Upstream:
    """Plays a service, the whole of it."""

    name: str
    verifier: TokenVerifier
    url: str = ""
    received: list[Received] = field(default_factory=list)
    status: int = 200
    body: bytes = b'{"ok":true}'
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    ready: bool = True
    document: dict[str, Any] | None = None
    documents_asked: int = 0
    #: Set to hold answers back until somebody calls `let_go`.
    held: Any = None

    def reset(self) -> None:
        """Forget what came, and answer again as at first."""
        fresh = Upstream(name=self.name, verifier=self.verifier, url=self.url)
        self.__dict__.update(fresh.__dict__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["path"] == "/readyz":
            await self._send(send, 200 if self.ready else 503, b"{}")
            return
        token = headers.pop("authorization").removeprefix("Bearer ")
        call = self.verifier.verify(token)
        if scope["path"] == "/internal/openapi.json":
            self.documents_asked += 1
            found = self.document
            await self._send(send, 200 if found else 404, orjson.dumps(found or {}))
            return
        body = b"".join([piece async for piece in _pieces(receive)])
        self.received.append(
            Received(
                method=scope["method"],
                raw_path=scope["raw_path"].decode(),
                query=scope["query_string"].decode(),
                headers=headers,
                body=body,
                call=call,
            )
        )
        if self.held is not None:
            await self.held.wait()
        await self._send(send, self.status, self.body)

    async def _send(self, send: Send, status: int, body: bytes) -> None:
        headers = [(b"content-type", b"application/json"), *self.headers]
        if status != 204:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if status == 204 else body})


@asynccontextmanager
async def upstream(name: str, *, verifier: TokenVerifier) -> AsyncIterator[Upstream]:
    """Run one on a free port."""
    played = Upstream(name=name, verifier=verifier)
    async with serving(played) as url:
        played.url = url
        yield played


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message: Message = await receive()
        more = message.get("more_body", False)
        yield message.get("body", b"")
