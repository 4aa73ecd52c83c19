"""Answers streamed to whoever reads them: slow readers, and readers who leave."""

import asyncio

import httpx
import pytest

from shared.http.transport import Transport, TransportLimits
from tests.integration.shared.transport.loops import on_both_loops
from tests.integration.shared.transport.upstream import (
    ANSWER,
    Peer,
    Upstream,
    answer_all,
    answer_with,
)

BIG = bytes(range(256)) * 20_000  # more than all buffers on the way hold


@on_both_loops
async def test_a_large_answer_arrives_whole_and_no_faster_than_it_is_read(
    transport: Transport,
) -> None:
    total = 8 * len(BIG)
    all_sent = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        for _ in range(8):
            await peer.send(BIG)
        all_sent.set()
        await answer_all(peer)

    async with Upstream(play) as upstream, httpx.AsyncClient(transport=transport) as client:
        async with client.stream("GET", upstream.url) as answer:
            (connection,) = transport._pools[upstream.origin]._connections
            while connection._transport.is_reading():
                assert not all_sent.is_set()
                await asyncio.sleep(0)
            read = sum([len(piece) async for piece in answer.aiter_raw()])
        assert read == total
        assert (await client.get(upstream.url)).text == "ok"
        assert upstream.connections == 1


@pytest.mark.parametrize("read_some", [False, True])
@on_both_loops
async def test_an_answer_closed_before_its_end_ends_the_connection(
    transport: Transport, read_some: bool
) -> None:
    client_left = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome")
        await peer.gone()
        client_left.set()

    async with (
        Upstream(play, answer_all) as upstream,
        httpx.AsyncClient(transport=transport) as client,
    ):
        async with client.stream("GET", upstream.url) as answer:
            if read_some:
                assert await anext(answer.aiter_raw()) == b"some"
        await client_left.wait()
        assert (await client.get(upstream.url)).text == "ok"


@on_both_loops
async def test_leaving_while_reading_ends_the_connection(transport: Transport) -> None:
    client_left, reading = asyncio.Event(), asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome")
        await peer.gone()
        client_left.set()

    async def read() -> None:
        async with client.stream("GET", upstream.url) as answer:
            async for _ in answer.aiter_raw():
                reading.set()

    async with Upstream(play) as upstream, httpx.AsyncClient(transport=transport) as client:
        reader = asyncio.create_task(read())
        await reading.wait()
        reader.cancel()
        await client_left.wait()
        with pytest.raises(asyncio.CancelledError):
            await reader


@on_both_loops
async def test_an_answer_may_be_read_after_its_connection_serves_others(
    transport: Transport,
) -> None:
    async with (
        Upstream(answer_with(ANSWER)) as upstream,
        httpx.AsyncClient(transport=transport) as client,
    ):
        request = client.build_request("GET", upstream.url)
        first = await client.send(request, stream=True)
        second = await client.send(request, stream=True)
        await first.aclose()  # must not touch what the second is using
        assert await second.aread() == b"ok"
        assert upstream.connections <= 2


@on_both_loops
async def test_each_wait_for_a_piece_has_the_read_timeout(transport: Transport) -> None:
    async def stall(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome")
        await peer.gone()

    async with Upstream(stall) as upstream, httpx.AsyncClient(transport=transport) as client:
        timeout = httpx.Timeout(30.0, read=0.05)
        async with client.stream("GET", upstream.url, timeout=timeout) as answer:
            body = answer.aiter_raw()
            assert await anext(body) == b"some"
            with pytest.raises(httpx.ReadTimeout):
                await anext(body)


@on_both_loops
async def test_a_read_ahead_of_nothing_still_reads_everything(transport: Transport) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BIG)
    limits = TransportLimits(read_ahead_bytes=0)
    async with Upstream(answer_with(answer, BIG)) as upstream:
        async with (
            Transport(limits=limits) as strict,
            httpx.AsyncClient(transport=strict) as client,
        ):
            for _ in range(3):
                assert (await client.get(upstream.url)).content == BIG
        assert upstream.connections == 1
