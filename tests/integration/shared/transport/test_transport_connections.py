"""Which connections are kept, shared, replaced and thrown away."""

import asyncio

import httpx
import pytest

from shared.http.transport import Transport, TransportLimits
from tests.integration.shared.transport.loops import on_both_loops
from tests.integration.shared.transport.upstream import (
    ANSWER,
    Peer,
    Play,
    Upstream,
    answer_all,
    answer_with,
    ask,
)


@on_both_loops
async def test_one_connection_serves_one_request_after_another(transport: Transport) -> None:
    async with Upstream(answer_all) as upstream:
        for _ in range(5):
            assert (await ask(transport, upstream)).body == b"ok"
        assert upstream.connections == 1


@on_both_loops
async def test_the_last_used_connection_serves_next(transport: Transport) -> None:
    asked, release = asyncio.Semaphore(0), asyncio.Event()

    async def play(peer: Peer) -> None:
        number = upstream.connections
        while True:
            received = await peer.request()
            asked.release()
            if b"/hold" in received.line:
                await release.wait()
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % number)

    async with Upstream(play) as upstream:
        held = asyncio.create_task(ask(transport, upstream, target=b"/hold"))
        await asked.acquire()
        second = await ask(transport, upstream)
        release.set()
        first = await held  # went back to the stack last, so it lies on top
        assert (first.body, second.body) == (b"1", b"2")
        assert [(await ask(transport, upstream)).body for _ in range(3)] == [b"1"] * 3


@on_both_loops
async def test_a_connection_closed_while_idle_is_not_used_again(transport: Transport) -> None:
    client_left = asyncio.Event()

    async def close_after_one(peer: Peer) -> None:
        await peer.request()
        await peer.send(ANSWER)
        peer.writer.write_eof()  # half-closed: we could still write to it, in vain
        await peer.gone()
        client_left.set()

    async with Upstream(close_after_one, answer_all) as upstream:
        await ask(transport, upstream)
        await client_left.wait()
        assert (await ask(transport, upstream, method="POST", body=b"{}")).status == 200
        assert upstream.connections == 2


@on_both_loops
async def test_a_connection_idle_for_too_long_is_not_used_again(transport: Transport) -> None:
    limits = TransportLimits(idle_s=-1.0)  # every connection is too old at once
    async with Upstream(answer_all) as upstream, Transport(limits=limits) as t:
        await ask(t, upstream)
        await ask(t, upstream)
        assert upstream.connections == 2


def _close_instead_of_answering_the_second(received: list[bytes]) -> Play:
    async def play(peer: Peer) -> None:
        received.append((await peer.request()).line)
        await peer.send(ANSWER)
        received.append((await peer.request()).line)

    return play


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@on_both_loops
async def test_an_idempotent_request_that_met_a_closing_connection_is_sent_again(
    transport: Transport, method: str
) -> None:
    received: list[bytes] = []
    play = _close_instead_of_answering_the_second(received)
    async with Upstream(play, answer_all) as upstream:
        await ask(transport, upstream)
        answer = await ask(transport, upstream, method=method, body=b"x" * (method == "PUT"))
        assert answer.status == 200
        assert upstream.connections == 2
        assert received[1].startswith(method.encode())


@on_both_loops
async def test_a_post_that_met_a_closing_connection_is_never_sent_twice(
    transport: Transport,
) -> None:
    play = _close_instead_of_answering_the_second([])
    async with Upstream(play, answer_all) as upstream:
        await ask(transport, upstream)
        with pytest.raises(httpx.RemoteProtocolError, match="without an answer"):
            await ask(transport, upstream, method="POST", body=b"{}")
        assert upstream.connections == 1


@on_both_loops
async def test_a_fresh_connection_that_closes_is_not_tried_again(transport: Transport) -> None:
    async def close(peer: Peer) -> None:
        await peer.request()

    async with Upstream(close) as upstream:
        with pytest.raises(httpx.RemoteProtocolError, match="without an answer"):
            await ask(transport, upstream)
        assert upstream.connections == 1


@on_both_loops
async def test_a_request_is_sent_again_once_only(transport: Transport) -> None:
    async def close(peer: Peer) -> None:
        await peer.request()

    play = _close_instead_of_answering_the_second([])
    async with Upstream(play, close) as upstream:
        await ask(transport, upstream)
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(transport, upstream)
        assert upstream.connections == 2


@on_both_loops
async def test_after_the_first_byte_of_an_answer_nothing_is_sent_again(
    transport: Transport,
) -> None:
    async def break_off(peer: Peer) -> None:
        await peer.request()
        await peer.send(ANSWER)
        await peer.request()
        await peer.send(b"HTTP/1.1 2")

    async with Upstream(break_off, answer_all) as upstream:
        await ask(transport, upstream)
        with pytest.raises(httpx.RemoteProtocolError, match="in the middle"):
            await ask(transport, upstream)
        assert upstream.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        ANSWER + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        ANSWER + b"garbage",
        ANSWER + b"H",
    ],
)
@on_both_loops
async def test_a_connection_in_doubt_after_its_answer_is_not_used_again(
    transport: Transport, answer: bytes
) -> None:
    async with Upstream(answer_with(answer)) as upstream:
        for _ in range(2):
            assert (await ask(transport, upstream)).body == b"ok"
        assert upstream.connections == 2


@on_both_loops
async def test_bytes_that_nobody_asked_for_end_an_idle_connection(transport: Transport) -> None:
    client_left, say_more = asyncio.Event(), asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(ANSWER)
        await say_more.wait()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await peer.gone()
        client_left.set()

    async with Upstream(play, answer_all) as upstream:
        await ask(transport, upstream)
        say_more.set()
        await client_left.wait()
        assert (await ask(transport, upstream)).body == b"ok"


@on_both_loops
async def test_a_cancelled_request_ends_its_connection(transport: Transport) -> None:
    asked, client_left = asyncio.Event(), asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        client_left.set()

    async with Upstream(play, answer_all) as upstream:
        request = asyncio.create_task(ask(transport, upstream))
        await asked.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await client_left.wait()
        assert (await ask(transport, upstream)).body == b"ok"
        assert upstream.connections == 2


@on_both_loops
async def test_closing_the_transport_ends_idle_and_busy_connections(transport: Transport) -> None:
    asked, gone = asyncio.Event(), asyncio.Semaphore(0)

    async def play(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        gone.release()

    async with Upstream(play) as upstream:
        request = asyncio.create_task(ask(transport, upstream))
        await asked.wait()
        await transport.aclose()
        with pytest.raises(httpx.ReadError):
            await request
        await gone.acquire()
        with pytest.raises(httpx.ConnectError, match="closed"):
            await ask(transport, upstream)
