"""Against a real uvicorn, as in production."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from shared.http.transport import Origin, Transport
from tests.integration.shared.transport.loops import on_both_loops


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it got: the body, and the request line in headers."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    headers = [(b"x-method", scope["method"].encode()), (b"x-path", scope["raw_path"])]
    if scope["path"] != "/stream":
        headers.append((b"content-length", b"%d" % len(body)))
    status = 204 if scope["path"] == "/nothing" else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})
    half = len(body) // 2
    await send({"type": "http.response.body", "body": body[:half], "more_body": True})
    await send({"type": "http.response.body", "body": body[half:]})


@asynccontextmanager
async def served() -> AsyncIterator[Origin]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(app, http="httptools", lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            yield Origin("127.0.0.1", listener.getsockname()[1])
        finally:
            server.should_exit = True
            await serving


@on_both_loops
async def test_a_real_server_and_the_transport_understand_each_other(
    transport: Transport,
) -> None:
    async with served() as origin:
        url = f"http://{origin.host}:{origin.port}"
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                for path in ("/v1/会员?q=1", "/stream", "/nothing"):
                    body = b"" if method == "GET" or path == "/nothing" else b"x" * 100_000
                    answer = await client.request(method, path, content=body)
                    assert answer.headers["x-method"] == method
                    assert answer.content == body
            assert (await client.head("/stream")).headers["x-method"] == "HEAD"
            assert len(transport._pools[origin]._connections) == 1


@on_both_loops
async def test_many_callers_each_get_their_own_answer(transport: Transport) -> None:
    async with served() as origin:

        async def call(number: int) -> bool:
            answer = await transport.exchange(
                origin=origin,
                method="POST",
                target=b"/v1/points/redemptions",
                headers=((b"content-type", b"application/json"),),
                body=b"%d" % number,
                deadline_s=30.0,
            )
            return answer.body == b"%d" % number

        assert all(await asyncio.gather(*(call(number) for number in range(500))))
