"""Connections that change hands in the very moment in which somebody leaves."""

import asyncio

import httpx
import pytest

from shared.http.transport import Transport, TransportLimits
from shared.http.transport_connection import Connection
from shared.http.transport_pool import Pool
from shared.http.transport_wire import Deadline
from tests.integration.shared.transport.loops import on_both_loops
from tests.integration.shared.transport.upstream import ANSWER, Peer, Upstream, answer_all, ask

ONE = TransportLimits(connections_per_origin=1)


def acquiring(pool: Pool, *, fresh: bool = False) -> asyncio.Task[Connection]:
    return asyncio.create_task(pool.acquire(patience=Deadline(seconds=30.0), fresh=fresh))


async def in_line(pool: Pool, *requests: asyncio.Task[Connection]) -> None:
    """Let all of them get in line, which takes one turn of the loop."""
    await asyncio.sleep(0)
    assert len(pool._queue) == len(requests)


@on_both_loops
async def test_a_connection_handed_to_someone_who_left_is_passed_on(transport: Transport) -> None:
    async with Upstream(answer_all) as upstream:
        pool = Pool(origin=upstream.origin, limits=ONE)
        connection = await acquiring(pool)
        second, third = acquiring(pool), acquiring(pool)
        await in_line(pool, second, third)
        pool.give_back(connection)
        second.cancel()
        assert await third is connection
        pool.close()


@on_both_loops
async def test_a_slot_handed_to_someone_who_left_is_passed_on(transport: Transport) -> None:
    async with Upstream(answer_all) as upstream:
        pool = Pool(origin=upstream.origin, limits=ONE)
        connection = await acquiring(pool)
        second, third = acquiring(pool), acquiring(pool)
        await in_line(pool, second, third)
        connection.discard()
        second.cancel()
        assert (await third).usable
        pool.close()


@on_both_loops
async def test_a_connection_that_ends_while_it_changes_hands_is_not_used(
    transport: Transport,
) -> None:
    async with Upstream(answer_all) as upstream:
        pool = Pool(origin=upstream.origin, limits=ONE)
        connection = await acquiring(pool)
        second = acquiring(pool)
        await in_line(pool, second)
        pool.give_back(connection)
        connection.discard()
        assert (await second).usable
        pool.close()


@on_both_loops
async def test_who_needs_a_fresh_connection_replaces_the_one_handed_over(
    transport: Transport,
) -> None:
    async with Upstream(answer_all) as upstream:
        pool = Pool(origin=upstream.origin, limits=ONE)
        connection = await acquiring(pool)
        second, third = acquiring(pool, fresh=True), acquiring(pool)
        await in_line(pool, second, third)
        pool.give_back(connection)
        fresh = await second
        assert fresh is not connection
        assert (len(pool._connections), third.done()) == (1, False)
        pool.give_back(fresh)
        assert await third is fresh
        pool.close()


@on_both_loops
async def test_who_needs_a_fresh_connection_replaces_an_idle_one_at_the_limit(
    transport: Transport,
) -> None:
    async with Upstream(answer_all) as upstream:
        pool = Pool(origin=upstream.origin, limits=ONE)
        idle = await acquiring(pool)
        pool.give_back(idle)
        fresh = await acquiring(pool, fresh=True)
        assert fresh is not idle
        assert not idle.usable
        assert pool._slots_taken == 1
        pool.close()


@on_both_loops
async def test_a_request_sent_again_does_not_meet_another_stale_connection(
    transport: Transport,
) -> None:
    asked, answer = asyncio.Semaphore(0), asyncio.Event()

    async def close_at_the_second(peer: Peer) -> None:
        await peer.request()
        asked.release()
        await answer.wait()
        await peer.send(ANSWER)
        await peer.request()

    async with Upstream(close_at_the_second, close_at_the_second, answer_all) as upstream:
        both = [asyncio.create_task(ask(transport, upstream)) for _ in range(2)]
        for _ in both:
            await asked.acquire()
        answer.set()
        await asyncio.gather(*both)
        assert (await ask(transport, upstream)).body == b"ok"
        assert upstream.connections == 3


@pytest.mark.parametrize("turns", range(12))
@on_both_loops
async def test_giving_up_at_any_moment_of_connecting_frees_the_slot_once(
    transport: Transport, turns: int
) -> None:
    async with Upstream(answer_all) as upstream:
        pool = Pool(origin=upstream.origin, limits=ONE)
        request = acquiring(pool)
        for _ in range(turns):
            await asyncio.sleep(0)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        for _ in range(5):
            await asyncio.sleep(0)  # the loop now tells a half-made connection of its end
        if not request.cancelled():
            pool.give_back(request.result())
        assert pool._slots_taken == len(pool._connections)
        assert (await acquiring(pool)).usable
        pool.close()


@on_both_loops
async def test_closing_ends_the_line_without_letting_anybody_connect(transport: Transport) -> None:
    async with Upstream(answer_all) as upstream:
        pool = Pool(origin=upstream.origin, limits=ONE)
        await acquiring(pool)
        second = acquiring(pool)
        await in_line(pool, second)
        pool.close()
        with pytest.raises(httpx.ConnectError, match="closed"):
            await second
        assert upstream.connections == 1


@on_both_loops
async def test_closing_ends_what_is_being_connected(transport: Transport) -> None:
    async with Upstream(answer_all) as upstream:
        request = asyncio.create_task(ask(transport, upstream))
        await asyncio.sleep(0)
        await transport.aclose()
        with pytest.raises(httpx.ConnectError, match="closed"):
            await request
