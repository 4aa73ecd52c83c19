"""Every way an answer can be framed, and every way it can be wrong."""

import httpx
import pytest

from shared.http.transport import OversizedAnswer, Transport, TransportLimits
from tests.integration.shared.transport.loops import on_both_loops
from tests.integration.shared.transport.upstream import (
    ANSWER,
    Peer,
    Upstream,
    answer_all,
    answer_with,
    ask,
)

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "status", "body"),
    [
        ((ANSWER,), 200, b"ok"),
        (tuple(ANSWER[i : i + 1] for i in range(len(ANSWER))), 200, b"ok"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",), 200, b""),
        ((CHUNKED, b"3\r\nabc\r\n", b"2;ext=1\r\nde\r\n0\r\n\r\n"), 200, b"abcde"),
        ((CHUNKED, b"0\r\n\r\n"), 200, b""),
        ((CHUNKED, b"1\r\na\r\n0\r\n", b"x-trailer: dropped\r\n\r\n"), 200, b"a"),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), 204, b""),
        ((b"HTTP/1.1 204 No Content\r\ncontent-length: 7\r\n\r\n",), 204, b""),
        ((b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\netag: x\r\n\r\n",), 304, b""),
        ((b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", ANSWER), 200, b"ok"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + ANSWER,), 200, b"ok"),
    ],
)
@on_both_loops
async def test_every_framing_is_read_and_the_connection_kept(
    transport: Transport, pieces: tuple[bytes, ...], status: int, body: bytes
) -> None:
    async with Upstream(answer_with(*pieces)) as upstream:
        for _ in range(3):
            answer = await ask(transport, upstream)
            assert (answer.status, answer.body) == (status, body)
            assert b"link" not in dict(answer.headers)
            assert b"x-trailer" not in dict(answer.headers)
        assert upstream.connections == 1


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        CHUNKED,
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
    ],
)
@on_both_loops
async def test_an_answer_to_head_has_no_body_whatever_it_announces(
    transport: Transport, head: bytes
) -> None:
    async def play(peer: Peer) -> None:
        while True:
            received = await peer.request()
            await peer.send(*(head[:9], head[9:]) if received.line[:4] == b"HEAD" else (ANSWER,))

    async with Upstream(play) as upstream:
        for _ in range(2):
            answer = await ask(transport, upstream, method="HEAD")
            assert (answer.status, answer.body) == (200, b"")
            assert (await ask(transport, upstream)).body == b"ok"
        assert upstream.connections == 1


@on_both_loops
async def test_a_body_sent_in_answer_to_head_ends_the_connection(transport: Transport) -> None:
    async with Upstream(answer_with(ANSWER)) as upstream:
        for _ in range(2):
            assert (await ask(transport, upstream, method="HEAD")).body == b""
        assert upstream.connections == 2


@on_both_loops
async def test_a_body_may_end_with_the_connection(transport: Transport) -> None:
    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n", b"to the ", b"end")

    async with Upstream(play) as upstream:
        assert (await ask(transport, upstream)).body == b"to the end"
        assert (await ask(transport, upstream)).body == b"to the end"
        assert upstream.connections == 2


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        CHUNKED + b"3\r\nabc\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
@on_both_loops
async def test_an_answer_that_breaks_off_is_an_error_never_a_shorter_answer(
    transport: Transport, cut: bytes
) -> None:
    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(cut)

    async with Upstream(play) as upstream:
        with pytest.raises(httpx.RemoteProtocolError, match="in the middle"):
            await ask(transport, upstream)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 099 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        CHUNKED + b"zz\r\n",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@on_both_loops
async def test_what_is_no_answer_is_refused_and_its_connection_ended(
    transport: Transport, nonsense: bytes, method: str
) -> None:
    if method == "HEAD" and nonsense.startswith(CHUNKED):
        nonsense = b"HTTP/9\r\n\r\n"
    async with Upstream(answer_with(nonsense), answer_all) as upstream:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(transport, upstream, method=method)
        assert (await ask(transport, upstream)).body == b"ok"
        assert upstream.connections == 2


ENDLESS = b"x" * 8192


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\nx-endless: ", ENDLESS),
        (b"HTTP/1.1 200 OK\r\n", b"x-many: 1234567890\r\n" * 100),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        (CHUNKED + b"1\r\na\r\n0\r\nx-trailer: ", ENDLESS),
        (CHUNKED + b"1;", ENDLESS),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@on_both_loops
async def test_a_head_or_trailer_without_end_is_cut_off(
    transport: Transport, start: bytes, more: bytes, method: str
) -> None:
    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(start)
        while not peer.writer.is_closing():
            await peer.send(more)

    async with Upstream(play) as upstream:
        if method == "HEAD" and start.startswith(CHUNKED):
            assert (await ask(transport, upstream, method=method)).status == 200
        else:
            with pytest.raises(OversizedAnswer):
                await ask(transport, upstream, method=method)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@on_both_loops
async def test_a_head_over_the_limit_is_refused_even_when_it_arrives_at_once(
    transport: Transport, method: str
) -> None:
    fields = b"x-long: " + b"x" * 2000 + b"\r\n"
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" + fields + b"\r\n"
    limits = TransportLimits(head_bytes=1000)
    async with Upstream(answer_with(answer + b"ok" * (method == "GET"))) as upstream:
        async with Transport(limits=limits) as strict:
            with pytest.raises(OversizedAnswer):
                await ask(strict, upstream, method=method)
        assert (await ask(transport, upstream, method=method)).status == 200


@pytest.mark.parametrize("framing", [b"content-length: 5000\r\n\r\n", b"\r\n"])
@on_both_loops
async def test_a_body_over_the_limit_is_not_held_in_memory(
    transport: Transport, framing: bytes
) -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + framing + b"x" * 5000

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    async with Upstream(play) as upstream:
        async with Transport(limits=TransportLimits(body_bytes=4999)) as strict:
            with pytest.raises(OversizedAnswer):
                await ask(strict, upstream)
        assert len((await ask(transport, upstream)).body) == 5000
