"""Bodies from outside: bounded in size and in time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.types import Message, Receive

from shared.kernel.errors import Refusal, RefusalKind

#: How long a whole body, or the next piece of a streamed one, may be in coming.
PATIENCE_S: Final = 15.0


class BodyTooLarge(Refusal):
    """The body is larger than the operation takes."""

    code = "body_too_large"
    kind = RefusalKind.too_large


class BodyTooSlow(Exception):
    """The body did not come in time."""


class CallerGone(Exception):
    """The caller went away before the end of the body; there is nobody to answer."""


async def read_body(receive: Receive, *, limit_bytes: int) -> bytes:
    """The whole body. Raises BodyTooLarge, BodyTooSlow and CallerGone."""
    message = await _next(receive)
    if not message.get("more_body"):
        body: bytes = message.get("body", b"")
        _check(len(body), limit_bytes)
        return body
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await _gather(message, receive, limit_bytes)
    except TimeoutError:
        raise BodyTooSlow from None


async def stream_body(receive: Receive, *, limit_bytes: int) -> AsyncIterator[bytes]:
    """The body piece by piece. Raises as `read_body` does."""
    size, more = 0, True
    while more:
        message = await _next(receive)
        more = message.get("more_body", False)
        piece = message.get("body", b"")
        size += len(piece)
        _check(size, limit_bytes)
        if piece:
            yield piece


async def _gather(message: Message, receive: Receive, limit_bytes: int) -> bytes:
    pieces, size = [message.get("body", b"")], len(message.get("body", b""))
    while message.get("more_body"):
        _check(size, limit_bytes)
        message = await _next(receive)
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
    _check(size, limit_bytes)
    return b"".join(pieces)


async def _next(receive: Receive) -> Message:
    try:
        async with asyncio.timeout(PATIENCE_S):
            message = await receive()
    except TimeoutError:
        raise BodyTooSlow from None
    if message["type"] == "http.disconnect":
        raise CallerGone
    return message


def _check(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise BodyTooLarge(limit_bytes=limit_bytes)
