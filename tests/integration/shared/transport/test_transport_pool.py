"""How many connections there may be, and what happens to whoever finds none."""

import asyncio
import socket

import httpx
import pytest

from shared.http.transport import Exchange, Origin, Transport, TransportLimits
from tests.integration.shared.transport.loops import on_both_loops
from tests.integration.shared.transport.upstream import ANSWER, Peer, Upstream, answer_all, ask

ONE = TransportLimits(connections_per_origin=1)


class Gate:
    """A play that answers each request only when the test lets it."""

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.answer = asyncio.Semaphore(0)

    async def __call__(self, peer: Peer) -> None:
        while True:
            await peer.request()
            self.asked.release()
            await self.answer.acquire()
            await peer.send(ANSWER)


@on_both_loops
async def test_there_are_never_more_connections_than_the_limit(transport: Transport) -> None:
    limits = TransportLimits(connections_per_origin=3)
    async with Upstream(answer_all) as upstream, Transport(limits=limits) as limited:
        answers = await asyncio.gather(*(ask(limited, upstream) for _ in range(50)))
        assert [answer.body for answer in answers] == [b"ok"] * 50
        assert upstream.connections == 3


@on_both_loops
async def test_whoever_waits_longest_is_served_first(transport: Transport) -> None:
    gate, served = Gate(), list[int]()

    async def request(number: int) -> None:
        await ask(limited, upstream)
        served.append(number)

    async with Upstream(gate) as upstream, Transport(limits=ONE) as limited:
        requests = [asyncio.create_task(request(number)) for number in range(5)]
        for _ in requests:
            gate.answer.release()
        await asyncio.gather(*requests)
        assert served == [0, 1, 2, 3, 4]
        assert upstream.connections == 1


@on_both_loops
async def test_who_finds_no_connection_in_time_is_told_so(transport: Transport) -> None:
    gate = Gate()
    async with Upstream(gate) as upstream, Transport(limits=ONE) as limited:
        first = asyncio.create_task(ask(limited, upstream))
        await gate.asked.acquire()
        with pytest.raises(httpx.PoolTimeout):
            await ask(limited, upstream, deadline_s=0.01)
        async with httpx.AsyncClient(transport=limited) as client:
            with pytest.raises(httpx.PoolTimeout):
                await client.get(upstream.url, timeout=httpx.Timeout(30.0, pool=0.01))
            gate.answer.release()
            await first
            gate.answer.release()
            assert (await client.get(upstream.url)).text == "ok"
        assert upstream.connections == 1


@on_both_loops
async def test_a_cancelled_wait_for_a_connection_leaves_the_line(transport: Transport) -> None:
    gate = Gate()
    async with Upstream(gate) as upstream, Transport(limits=ONE) as limited:
        first, second, third = (asyncio.create_task(ask(limited, upstream)) for _ in range(3))
        await gate.asked.acquire()
        second.cancel()
        for _ in range(2):
            gate.answer.release()
        assert [(await request).body for request in (first, third)] == [b"ok"] * 2
        assert second.cancelled()
        assert upstream.connections == 1


@on_both_loops
async def test_a_lost_connection_lets_the_next_in_line_connect(transport: Transport) -> None:
    async def close(peer: Peer) -> None:
        await peer.request()

    async with Upstream(close, answer_all) as upstream, Transport(limits=ONE) as limited:
        first, second = (asyncio.create_task(ask(limited, upstream)) for _ in range(2))
        with pytest.raises(httpx.RemoteProtocolError):
            await first
        assert (await second).body == b"ok"


@on_both_loops
async def test_a_request_sent_again_gets_a_fresh_connection_even_at_the_limit(
    transport: Transport,
) -> None:
    asked = asyncio.Semaphore(0)
    close = asyncio.Event()

    async def close_at_the_second(peer: Peer) -> None:
        await peer.request()
        await peer.send(ANSWER)
        await peer.request()
        asked.release()
        await close.wait()

    async with (
        Upstream(close_at_the_second, answer_all) as upstream,
        Transport(limits=ONE) as limited,
    ):
        await ask(limited, upstream)
        requests = [asyncio.create_task(ask(limited, upstream)) for _ in range(4)]
        await asked.acquire()
        close.set()
        assert [(await each).body for each in requests] == [b"ok"] * 4


@on_both_loops
async def test_a_storm_of_cancellations_loses_no_connection(transport: Transport) -> None:
    limits = TransportLimits(connections_per_origin=4)
    async with Upstream(answer_all) as upstream, Transport(limits=limits) as limited:
        requests = [asyncio.create_task(ask(limited, upstream)) for _ in range(200)]
        for turn in range(100):
            requests[turn * 2].cancel()
            await asyncio.sleep(0)
        answers = await asyncio.gather(*requests, return_exceptions=True)
        assert all(isinstance(answer, Exchange) for answer in answers[1::2])
        # Had a slot been lost, these could not all be held open at once.
        gate = Gate()
        upstream.plays = (gate,)
        pool = limited._pools[upstream.origin]
        for idle in tuple(pool._idle):
            idle.discard()
        held = [asyncio.create_task(ask(limited, upstream)) for _ in range(4)]
        for _ in held:
            await gate.asked.acquire()
            gate.answer.release()
        assert len(await asyncio.gather(*held)) == 4
        assert pool._slots_taken == 4


@on_both_loops
async def test_nobody_listening_is_a_connect_error(transport: Transport) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, not listening
        port = reserved.getsockname()[1]
        for _ in range(3):
            with pytest.raises(httpx.ConnectError):
                await transport.exchange(
                    origin=Origin("127.0.0.1", port),
                    method="GET",
                    target=b"/",
                    headers=(),
                    deadline_s=30.0,
                )
    assert transport._pools[Origin("127.0.0.1", port)]._slots_taken == 0


@on_both_loops
async def test_a_name_that_cannot_be_resolved_is_a_connect_error(transport: Transport) -> None:
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://loyalty.invalid/")
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://{'a' * 64}.invalid/")


@on_both_loops
async def test_an_upstream_that_does_not_accept_in_time_is_a_connect_timeout(
    transport: Transport,
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with socket.socket() as filler, socket.socket() as more:
            for each in (filler, more):  # the queue of a listener that accepts nobody fills up
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", port))
            async with httpx.AsyncClient(transport=transport) as client:
                with pytest.raises(httpx.ConnectTimeout):
                    await client.get(f"http://127.0.0.1:{port}/", timeout=0.05)
    assert transport._pools[Origin("127.0.0.1", port)]._slots_taken == 0
