"""The answer to one request while it arrives: filled by the connection, read by the caller."""

import asyncio
from typing import Protocol

import httpx

from shared.http.transport_wire import Patience


class OversizedAnswer(httpx.RemoteProtocolError):
    """The upstream answered with more than the limits allow."""


class Line(Protocol):
    """What a reply needs of the connection it comes by."""

    def fail(self, reply: "Reply", error: BaseException) -> None: ...
    def resume_reading(self) -> None: ...
    def sending_body(self) -> bool: ...
    def sending(self) -> bool: ...


class Reply:
    """One answer. With `whole` its caller is woken once, at the end; else by every piece.

    `reused` says that the connection had served before, and `lost` that the upstream ended it.
    """

    __slots__ = (
        "_line",
        "_waiter",
        "begun",
        "body_bytes",
        "chunks",
        "complete",
        "error",
        "head_done",
        "headers",
        "lost",
        "reused",
        "status",
        "unread_bytes",
        "whole",
    )

    def __init__(self, *, line: Line, whole: bool, reused: bool) -> None:
        self._line = line
        self._waiter: asyncio.Future[None] | None = None
        self.whole = whole
        self.reused = reused
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunks: list[bytes] = []
        self.body_bytes = 0
        self.unread_bytes = 0
        self.begun = self.head_done = self.complete = self.lost = False
        self.error: BaseException | None = None

    # For the connection.

    def wake(self) -> None:
        """Let a waiting caller look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def finish(self) -> None:
        """The answer is all here."""
        self.complete = True
        self.wake()

    def break_off(self, *, error: BaseException, lost: bool) -> None:
        """There will be no more of it."""
        self.error = error
        self.lost = lost
        self.wake()

    def ends_with_connection(self) -> bool:
        """Whether nothing but the end of the connection says where the body ends."""
        return self.head_done and not any(
            name == b"content-length"
            or (name == b"transfer-encoding" and b"chunked" in value.lower())
            for name, value in self.headers
        )

    # For the caller.

    @property
    def unanswered(self) -> bool:
        """The upstream closed a kept connection without a byte of answer: it may have been
        closing it before the request came, so a repeatable request can be sent again."""
        return self.lost and self.reused and not self.begun

    async def arrive(self, *, patience: Patience) -> None:
        """Wait for the head, or for everything when the reply is wanted whole.

        Raises httpx.TransportError, or what the request's own body raised.
        """
        while not (self.complete if self.whole else self.head_done):
            await self._wait(patience)

    async def piece(self, *, patience: Patience) -> bytes:
        """The next bytes of the body, empty at its end; raises as `arrive` does."""
        while not self.chunks:
            if self.complete:
                return b""
            await self._wait(patience)
        piece = b"".join(self.chunks)
        self.chunks.clear()
        self.unread_bytes = 0
        if not self.complete:
            self._line.resume_reading()
        return piece

    def abandon(self) -> None:
        """The caller wants no more of it; what has not arrived yet costs the connection."""
        self._line.fail(self, httpx.ReadError("The answer was given up before its end"))

    async def _wait(self, patience: Patience) -> None:
        if self.error is not None:
            raise self.error
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timeout_s = self._timeout_s(patience)
        timer = None if timeout_s is None else loop.call_later(timeout_s, self._expire)
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.abandon()
            raise
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        if self.error is not None:
            raise self.error

    def _timeout_s(self, patience: Patience) -> float | None:
        # While a streamed body goes out, the write timeout watches over it: an upstream that
        # waits for the rest of the question is not late with the answer.
        return None if not self.whole and self._line.sending_body() else patience.read()

    def _expire(self) -> None:
        late = httpx.WriteTimeout if self._line.sending() else httpx.ReadTimeout
        self._line.fail(self, late("The upstream took too long"))
