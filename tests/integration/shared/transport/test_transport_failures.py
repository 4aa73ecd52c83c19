"""Upstreams that fall silent, do not listen, or vanish."""

import asyncio

import httpx
import pytest

from shared.http.transport import Transport
from tests.integration.shared.transport.loops import on_both_loops
from tests.integration.shared.transport.upstream import Peer, Upstream, answer_all, ask


@on_both_loops
async def test_a_silent_upstream_is_left_at_the_deadline(transport: Transport) -> None:
    client_left = asyncio.Event()

    async def drip(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
        await peer.gone()
        client_left.set()

    async with Upstream(drip, answer_all) as upstream:
        with pytest.raises(httpx.ReadTimeout):
            await ask(transport, upstream, deadline_s=0.02)
        await client_left.wait()
        assert (await ask(transport, upstream)).body == b"ok"


@on_both_loops
async def test_an_upstream_that_never_reads_is_a_write_timeout(transport: Transport) -> None:
    async def deaf(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with Upstream(deaf) as upstream:
        with pytest.raises(httpx.WriteTimeout):
            await ask(transport, upstream, method="PUT", body=bytes(10**7), deadline_s=0.1)


@on_both_loops
async def test_a_reset_connection_is_a_network_error(transport: Transport) -> None:
    async def reset(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nsho")
        peer.writer.transport.abort()

    async def reset_with_unread_bytes(peer: Peer) -> None:
        await peer.head()

    async with Upstream(reset) as upstream:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await ask(transport, upstream)
    async with Upstream(reset_with_unread_bytes) as upstream:
        with pytest.raises((httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError)):
            await ask(transport, upstream, method="POST", body=bytes(10**7))
