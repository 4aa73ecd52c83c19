"""Bodies streamed to an upstream which may answer early, late, or while they are sent."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from shared.http.transport import Transport
from tests.integration.shared.transport.loops import on_both_loops
from tests.integration.shared.transport.upstream import (
    ANSWER,
    Peer,
    Received,
    Upstream,
    answer_all,
)

BIG = bytes(range(256)) * 20_000  # more than all buffers on the way hold


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 65536
        await asyncio.sleep(0)


@on_both_loops
async def test_a_body_of_pieces_goes_out_in_chunks(transport: Transport) -> None:
    async with Upstream() as upstream, httpx.AsyncClient(transport=transport) as client:
        upstream.plays = (upstream.answering(ANSWER),)
        for _ in range(2):
            answer = await client.post(upstream.url, content=pieces(b"one ", b"", b"two"))
            assert answer.text == "ok"
        assert [each.body for each in upstream.requests] == [b"one two"] * 2
        assert upstream.connections == 1


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, len(BIG)])
@on_both_loops
async def test_a_body_of_any_size_arrives_as_it_is(transport: Transport, size: int) -> None:
    async with Upstream() as upstream, httpx.AsyncClient(transport=transport) as client:
        upstream.plays = (upstream.answering(ANSWER),)
        body = BIG[:size]
        chunked = {"transfer-encoding": "chunked"}
        length = {"content-length": str(size)}
        await client.post(upstream.url, content=body)
        by_hand = httpx.ByteStream(body)
        await client.send(httpx.Request("POST", upstream.url, headers=chunked, stream=by_hand))
        await client.post(upstream.url, content=pieces(body), headers=length)
        assert [each.body == body for each in upstream.requests] == [True] * 3
        assert upstream.connections == 1


@pytest.mark.parametrize("length", [2, 4])
@on_both_loops
async def test_a_body_that_is_not_as_long_as_it_says_is_never_sent_whole(
    transport: Transport, length: int
) -> None:
    async with Upstream() as upstream, httpx.AsyncClient(transport=transport) as client:
        upstream.plays = (upstream.answering(ANSWER),)
        headers = {"content-length": str(length)}
        for content in (pieces(b"a", b"bc"), b"abc"):
            with pytest.raises(httpx.LocalProtocolError):
                await client.post(upstream.url, content=content, headers=headers)
        assert upstream.requests == []


@on_both_loops
async def test_an_early_answer_arrives_although_nobody_takes_the_body(
    transport: Transport,
) -> None:
    client_left, body_stopped = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            body_stopped.set()

    async def refuse(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await peer.gone()
        client_left.set()

    async with (
        Upstream(refuse, answer_all) as upstream,
        httpx.AsyncClient(transport=transport) as client,
    ):
        answer = await client.post(upstream.url, content=body())
        assert (answer.status_code, answer.text) == (413, "no")
        await body_stopped.wait()
        await client_left.wait()  # the half-sent request ended the connection
        assert (await client.get(upstream.url)).text == "ok"
        assert upstream.connections == 2


@on_both_loops
async def test_an_early_answer_to_a_body_in_memory_ends_the_connection_too(
    transport: Transport,
) -> None:
    async def refuse(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await peer.send(ANSWER)
        await asyncio.Event().wait()

    async with Upstream(refuse, answer_all) as upstream:
        for _ in range(2):
            answer = await transport.exchange(
                origin=upstream.origin,
                method="POST",
                target=b"/",
                headers=(),
                body=BIG,
                deadline_s=30.0,
            )
            assert answer.body == b"ok"
            upstream.plays = (answer_all,)
        assert upstream.connections == 2


@on_both_loops
async def test_question_and_answer_may_flow_at_the_same_time(transport: Transport) -> None:
    async def echo(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while (line := await peer.reader.readuntil(b"\r\n")) != b"0\r\n":
            await peer.send(line + await peer.reader.readexactly(int(line, 16) + 2))
        await peer.send(b"0\r\n\r\n")

    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def conversation() -> AsyncIterator[bytes]:
        yield b"hello"
        while (word := await heard.get()) != b"hello...":
            yield word + b"."

    async with Upstream(echo) as upstream, httpx.AsyncClient(transport=transport) as client:
        timeout = httpx.Timeout(30.0)
        async with client.stream(
            "POST", upstream.url, content=conversation(), timeout=timeout
        ) as answer:
            words = []
            async for word in answer.aiter_raw():
                words.append(word)
                heard.put_nowait(word)
    assert words == [b"hello", b"hello.", b"hello..", b"hello..."]


@on_both_loops
async def test_a_fault_in_the_callers_body_reaches_the_caller(transport: Transport) -> None:
    client_left = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.gone()
        client_left.set()

    async def faulty() -> AsyncIterator[bytes]:
        yield b"so far so good"
        raise ZeroDivisionError

    async with Upstream(play) as upstream, httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(ZeroDivisionError):
            await client.post(upstream.url, content=faulty())
        await client_left.wait()


@on_both_loops
async def test_a_slow_question_is_not_a_late_answer(transport: Transport) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"first "
        await asyncio.sleep(0.2)  # longer than the read timeout: that is the case tested
        yield b"last"

    async with Upstream() as upstream, httpx.AsyncClient(transport=transport) as client:
        upstream.plays = (upstream.answering(ANSWER),)
        timeout = httpx.Timeout(30.0, read=0.1)
        assert (await client.post(upstream.url, content=slow(), timeout=timeout)).text == "ok"
        received: list[Received] = upstream.requests
        assert received[0].body == b"first last"


@on_both_loops
async def test_an_upstream_that_stops_taking_the_body_is_a_write_timeout(
    transport: Transport,
) -> None:
    async def deaf(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with Upstream(deaf) as upstream, httpx.AsyncClient(transport=transport) as client:
        timeout = httpx.Timeout(30.0, write=0.05)
        for content in (endless(), BIG * 4):
            with pytest.raises(httpx.WriteTimeout):
                await client.post(upstream.url, content=content, timeout=timeout)
