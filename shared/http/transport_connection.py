"""One HTTP/1.1 connection of the transport: writes a request, reads its answer, goes home."""

import asyncio
from collections.abc import AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

import httpx

from shared.http.transport_parser import AnswerParser
from shared.http.transport_reply import OversizedAnswer, Reply
from shared.http.transport_wire import Outgoing, Patience, framed


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """What one origin may take. Sizes are in bytes, times in seconds.

    `idle_s` stays below the upstream's own keep-alive time (uvicorn's is 5 s), so that as a rule
    we let go of an idle connection before the upstream does.
    """

    connections_per_origin: int = 64
    idle_s: float = 4.0
    head_bytes: int = 32 * 1024
    body_bytes: int = 16 * 1024 * 1024  # of an answer held whole in memory
    read_ahead_bytes: int = 256 * 1024  # of a streamed answer that nobody has read yet


class Home(Protocol):
    """The pool a connection belongs to."""

    def give_back(self, connection: "Connection") -> None: ...
    def forget(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """Serves one request at a time, and goes home by itself as soon as the answer is whole.

    Whatever leaves it in doubt (a caller who went away, bytes nobody asked for, a half-sent
    body) ends it: a connection in doubt is never used again.
    """

    def __init__(self, *, home: Home, limits: TransportLimits) -> None:
        self._home = home
        self._limits = limits
        self._transport: asyncio.Transport
        self._parser = AnswerParser(head_limit_bytes=limits.head_bytes)
        self._reply: Reply | None = None
        self._sender: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._served = 0
        self.usable = True
        self.idle_since = 0.0

    def begin(self, *, outgoing: Outgoing, whole: bool, patience: Patience) -> Reply:
        """Write the request; the returned reply fills as the answer arrives."""
        reply = Reply(line=self, whole=whole, reused=self._served > 0)
        self._reply = reply
        self._served += 1
        self._parser.expect(reply=reply, bodiless=outgoing.bodiless_answer)
        self._transport.write(outgoing.message)
        if outgoing.body is not None:
            self._send(reply, outgoing.body, outgoing.length, patience)
        return reply

    def fail(self, reply: Reply, error: BaseException) -> None:
        """End `reply` with an error, and the connection with it; nothing if it is over already."""
        self._end(reply, error, lost=False)

    def discard(self) -> None:
        """Close at once and never be used again."""
        if not self.usable:
            return
        self.usable = False
        if self._sender is not None:
            self._sender.cancel()
        if self._reply is not None:
            self.fail(self._reply, httpx.ReadError("The connection was closed"))
        self._transport.abort()
        self._home.forget(self)

    def resume_reading(self) -> None:
        """The reader of a streamed answer has caught up."""
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()

    def sending_body(self) -> bool:
        """Whether a streamed body is still on its way, or did not make it."""
        sender = self._sender
        return sender is not None and not (
            sender.done() and not sender.cancelled() and sender.exception() is None
        )

    def sending(self) -> bool:
        """Whether a part of the request has not left yet."""
        return self._transport.get_write_buffer_size() > 0 or self.sending_body()

    def _end(self, reply: Reply, error: BaseException, *, lost: bool) -> None:
        if self._reply is reply:
            self._reply = None
            self.discard()
            reply.break_off(error=error, lost=lost)

    # The body of the request.

    def _send(
        self, reply: Reply, body: AsyncIterable[bytes], length: int | None, patience: Patience
    ) -> None:
        # In a task of its own: an upstream may answer while the body is sent, or before.
        self._sender = asyncio.create_task(self._write_body(body, length, patience))
        self._sender.add_done_callback(partial(self._body_ended, reply))

    async def _write_body(
        self, body: AsyncIterable[bytes], length: int | None, patience: Patience
    ) -> None:
        async with aclosing(framed(body=body, length=length)) as pieces:
            async for piece in pieces:
                self._transport.write(piece)
                if self._drained is not None:
                    await self._drain(self._drained, patience.write())

    async def _drain(self, drained: asyncio.Future[None], timeout_s: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await drained
        except TimeoutError:
            raise httpx.WriteTimeout("The upstream does not take the body") from None

    def _body_ended(self, reply: Reply, sender: asyncio.Task[None]) -> None:
        if sender.cancelled():
            self.fail(reply, httpx.WriteError("The body was not sent to its end"))
        elif (error := sender.exception()) is not None:
            self.fail(reply, error)
        else:
            reply.wake()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def pause_writing(self) -> None:
        """The upstream does not keep up with the body."""
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """The upstream has caught up."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer, or bytes that nobody asked for."""
        reply = self._reply
        if reply is None:
            self.discard()  # the next answer could not be told from these
            return
        reply.begun = True
        try:
            self._parser.feed(data)
        except httpx.RemoteProtocolError as error:
            self.fail(reply, error)
            return
        if reply.whole and reply.body_bytes > self._limits.body_bytes:
            self.fail(reply, OversizedAnswer("The body of the answer is too large"))
        elif self._parser.answered:
            self._settle(reply)
        elif not reply.whole:
            self._hand_on(reply)

    def eof_received(self) -> bool:
        """The upstream sends no more, so it is of no more use."""
        reply = self._reply
        if reply is not None and reply.ends_with_connection():
            self._parser.keep_alive = False
            self._settle(reply)
        elif reply is not None:
            self._end(reply, _disconnected(reply), lost=True)
        self.discard()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, broken by the upstream if `exc` is set."""
        if self._reply is not None:
            written = not isinstance(exc, BrokenPipeError) and not self.sending()
            error = httpx.ReadError(str(exc)) if written else httpx.WriteError(str(exc))
            self._end(self._reply, error, lost=True)
        self.discard()

    def _settle(self, reply: Reply) -> None:
        self._reply = None
        if self._parser.keep_alive and not self.sending():
            self._sender = None
            self.resume_reading()
            self._home.give_back(self)
        else:
            self.discard()
        reply.finish()

    def _hand_on(self, reply: Reply) -> None:
        if reply.unread_bytes > self._limits.read_ahead_bytes and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        reply.wake()


def _disconnected(reply: Reply) -> httpx.RemoteProtocolError:
    when = "in the middle of its answer" if reply.begun else "without an answer"
    return httpx.RemoteProtocolError(f"The upstream disconnected {when}")
