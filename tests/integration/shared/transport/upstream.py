"""A server that plays a script, so that it can misbehave in any way we want."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from shared.http.transport import Exchange, Origin, Transport

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    line: bytes
    headers: dict[bytes, bytes]
    body: bytes


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> Received:
        """Read one request to its end; raises asyncio.IncompleteReadError when none comes."""
        received = await self.head()
        if received.headers.get(b"transfer-encoding") == b"chunked":
            return Received(received.line, received.headers, await self._chunks())
        length = int(received.headers.get(b"content-length", b"0"))
        body = await self.reader.readexactly(length)
        return Received(received.line, received.headers, body)

    async def head(self) -> Received:
        """Read a request's head only."""
        line, *fields = (await self.reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        pairs = (field.split(b": ", 1) for field in fields)
        return Received(line, {name.lower(): value for name, value in pairs}, b"")

    async def send(self, *pieces: bytes) -> None:
        """Send each piece by itself, leaving the other side time to read it by itself."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)

    async def gone(self) -> None:
        """Return once the client has let go of the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self.reader.readuntil(b"\r\n"))[:-2], 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body


Play = Callable[[Peer], Awaitable[None]]


class Upstream:
    """Plays one script per connection, in order; the last one for all further connections."""

    def __init__(self, *plays: Play) -> None:
        self.plays = plays
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults: list[BaseException] = []
        self.connections = 0
        self.requests: list[Received] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.origin = Origin("127.0.0.1", self._server.sockets[0].getsockname()[1])
        self.url = f"http://127.0.0.1:{self.origin.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert error is not None or self._faults == []

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        play = self.plays[min(self.connections, len(self.plays) - 1)]
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await play(Peer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        except BaseException as fault:
            self._faults.append(fault)
        finally:
            writer.close()

    def answering(self, *answers: bytes) -> Play:
        """A play: one answer to each request, the last one for all further requests."""

        async def play(peer: Peer) -> None:
            served = 0
            while True:
                self.requests.append(await peer.request())
                await peer.send(answers[min(served, len(answers) - 1)])
                served += 1

        return play


async def answer_all(peer: Peer) -> None:
    """A play that behaves."""
    while True:
        await peer.request()
        await peer.send(ANSWER)


def answer_with(*pieces: bytes) -> Play:
    """A play: the same answer, in the same pieces, to each request."""

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(*pieces)

    return play


async def ask(
    transport: Transport,
    upstream: Upstream,
    *,
    method: str = "GET",
    target: bytes = b"/v1/members/m_1",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    body: bytes = b"",
    deadline_s: float = 30.0,
) -> Exchange:
    """One direct exchange, with ordinary values for what the test does not care about."""
    return await transport.exchange(
        origin=upstream.origin,
        method=method,
        target=target,
        headers=headers,
        body=body,
        deadline_s=deadline_s,
    )
