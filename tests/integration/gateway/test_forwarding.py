"""What reaches a service, and what comes back."""

import asyncio

import httpx
import pytest

from shared.http.transport import TransportLimits
from tests.integration.gateway.rig import GatewayStarter, GatewayUnderTest
from tests.support.processes import free_port
from tests.support.waiting import until

WALLET = "/v1/members/mem_01kb3f8v2q0000000000000000/wallet"
ORDER = {"order_id": "SO-1", "member_id": "mem_01kb3f8v2q0000000000000000"}


async def test_a_service_gets_the_request_as_it_was_and_a_token_for_this_operation_alone(
    gateway: GatewayUnderTest,
) -> None:
    answer = await gateway.call(
        "POST",
        "/v1/orders/SO%3A1/refunds?a=%2F&b=%E5%9B%9E&b=2",
        content=b' {"amount_fen" : 100}',
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "Idempotency-Key": "refund-1",
            "Accept-Language": "en",
            "X-Request-Id": "order-desk-7",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        },
    )
    assert answer.status_code == 200
    (received,) = gateway.services["loyalty"].received
    assert (received.method, received.raw_path) == ("POST", "/v1/orders/SO%3A1/refunds")
    assert received.query == "a=%2F&b=%E5%9B%9E&b=2"
    assert received.body == b' {"amount_fen" : 100}'
    assert received.headers["content-type"] == "application/json; charset=utf-8"
    assert received.headers["idempotency-key"] == "refund-1"
    assert received.headers["accept-language"] == "en"
    assert received.headers["x-request-id"] == "order-desk-7"
    assert received.headers["traceparent"].startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert received.call.issuer == "gateway"
    assert received.call.operation == "refund_order"
    assert received.call.principal.actor == f"api_key:{gateway.manager.secret.id}"


async def test_headers_that_are_not_ours_to_pass_stay_here(gateway: GatewayUnderTest) -> None:
    answer = await gateway.call(
        "GET",
        WALLET,
        headers={
            "Cookie": "a=b",
            "X-Internal-Principal": "api_key:managerk",
            "X-Forwarded-For": "10.0.0.1",
            "Forwarded": "for=10.0.0.1",
            "Connection": "keep-alive, X-Anything",
            "TE": "trailers",
            "X-Anything": "1",
        },
    )
    assert answer.status_code == 200
    (received,) = gateway.services["loyalty"].received
    assert set(received.headers) <= {"host", "accept", "x-request-id", "traceparent"}
    assert gateway.manager.secret.text not in str(received.headers)


async def test_an_answer_comes_back_as_it_is_but_for_what_belongs_to_the_hop(
    gateway: GatewayUnderTest,
) -> None:
    loyalty = gateway.services["loyalty"]
    loyalty.status, loyalty.body = 201, '{"会员":"回头"}'.encode()
    loyalty.headers = [
        (b"idempotency-replayed", b"true"),
        (b"x-internal-host", b"loyalty-7"),
        (b"x-request-id", b"theirs"),
        (b"keep-alive", b"timeout=5"),
        (b"server", b"inside"),
    ]
    answer = await gateway.call("GET", WALLET, headers={"X-Request-Id": "mine"})
    assert (answer.status_code, answer.content) == (201, loyalty.body)
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert answer.headers["X-Request-Id"] == "mine"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "keep-alive" not in answer.headers
    assert "x-internal-host" not in answer.headers
    assert "inside" not in answer.headers["server"]


@pytest.mark.parametrize("status", [200, 404, 409, 422])
async def test_an_answer_without_a_body_or_with_a_problem_passes(
    gateway: GatewayUnderTest, status: int
) -> None:
    loyalty = gateway.services["loyalty"]
    loyalty.status, loyalty.body = status, b""
    answer = await gateway.call("GET", WALLET)
    assert (answer.status_code, answer.content) == (status, b"")


async def test_nothing_comes_back_with_204(gateway: GatewayUnderTest) -> None:
    gateway.services["loyalty"].status = 204
    answer = await gateway.call("POST", "/v1/services/loyalty/subscriptions/referral/rewind")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers


async def test_head_gets_what_get_gets_but_the_body(gateway: GatewayUnderTest) -> None:
    answer = await gateway.call("HEAD", WALLET)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(gateway.services["loyalty"].body))
    assert gateway.services["loyalty"].received[0].method == "GET"


async def test_a_body_that_came_with_a_read_stays_here(gateway: GatewayUnderTest) -> None:
    answer = await gateway.call("GET", WALLET, content=b"x" * 100_000)
    assert answer.status_code == 200
    assert gateway.services["loyalty"].received[0].body == b""
    assert (await gateway.call("GET", WALLET)).status_code == 200


async def test_each_operation_goes_to_its_own_service(gateway: GatewayUnderTest) -> None:
    await gateway.call("GET", "/v1/members/mem_1/referral_code")
    await gateway.call("GET", "/v1/members/mem_1/segment")
    asked = {
        name: [one.call.operation for one in service.received]
        for name, service in gateway.services.items()
    }
    assert asked == {
        "loyalty": [],
        "referral": ["show_referral_code"],
        "segmentation": ["show_member_segment"],
    }


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_upload_is_streamed_through_whole(
    gateway: GatewayUnderTest, chunked: bool
) -> None:
    lines = b'{"order_id":"SO-1","paid_fen":12900}\n' * 200_000

    async def pieces() -> object:
        for start in range(0, len(lines), 64_000):
            yield lines[start : start + 64_000]

    answer = await gateway.call(
        "POST",
        "/v1/orders/imports",
        content=pieces() if chunked else lines,
        headers={"Content-Type": "application/x-ndjson", "Idempotency-Key": "import-1"},
    )
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    (received,) = gateway.services["loyalty"].received
    assert received.body == lines
    assert received.call.operation == "import_orders"


async def test_an_export_comes_through_whole_however_large(gateway: GatewayUnderTest) -> None:
    """Larger than an answer that is held in memory may be."""
    served = gateway.services["loyalty"]
    served.body = b'{"rows":"%b"}' % (b"x" * (TransportLimits().body_bytes + 1))
    answer = await gateway.call("GET", "/v1/members/mem_1/export")
    assert (answer.status_code, answer.content == served.body) == (200, True)
    (received,) = gateway.received()
    assert (received.method, received.body) == ("GET", b"")
    assert not {"content-length", "transfer-encoding"} & received.headers.keys()
    head = await gateway.call("HEAD", "/v1/members/mem_1/export")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(served.body))


async def test_a_service_that_is_down_is_503_with_retry_after(
    start_gateway: GatewayStarter,
) -> None:
    gateway = await start_gateway(loyalty_url=f"http://127.0.0.1:{free_port()}")
    answer = await gateway.call("GET", WALLET, headers={"Accept-Language": "en"})
    assert answer.status_code == 503
    assert answer.json()["code"] == "service_away"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]
    assert "127.0.0.1" not in answer.text
    upload = await gateway.call(
        "POST",
        "/v1/orders/imports",
        content=b"a,b\n" * 100_000,
        headers={"Content-Type": "text/csv", "Idempotency-Key": "import-1"},
    )
    assert (upload.status_code, upload.json()["code"]) == (503, "service_away")
    other = await gateway.call("GET", "/v1/segments")
    assert other.status_code == 200


async def test_a_service_that_does_not_answer_in_time_is_504(
    start_gateway: GatewayStarter,
) -> None:
    gateway = await start_gateway(deadline_s=0.2)
    gateway.services["loyalty"].held = asyncio.Event()
    answer = await gateway.call("POST", "/v1/orders", json=ORDER, headers={"Idempotency-Key": "1"})
    assert (answer.status_code, answer.json()["code"]) == (504, "service_too_slow")
    assert len(gateway.services["loyalty"].received) == 1, "a write is never sent twice"
    gateway.services["loyalty"].held.set()


async def test_a_service_that_does_not_take_our_token_is_away_and_the_callers_key_not_at_fault(
    gateway: GatewayUnderTest,
) -> None:
    gateway.services["loyalty"].status = 401
    answer = await gateway.call("GET", WALLET)
    assert (answer.status_code, answer.json()["code"]) == (503, "service_away")


async def test_more_requests_than_a_process_may_serve_are_refused_at_once(
    start_gateway: GatewayStarter,
) -> None:
    gateway = await start_gateway(concurrency=2)
    loyalty = gateway.services["loyalty"]
    loyalty.held = asyncio.Event()
    waiting = [asyncio.create_task(gateway.call("GET", WALLET)) for _ in range(2)]
    await until(lambda: len(loyalty.received) == 2, what="two requests to be served")
    refused = await gateway.call("GET", WALLET)
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert "Retry-After" in refused.headers
    assert (await gateway.http.get("/healthz")).status_code == 200
    loyalty.held.set()
    assert [(await one).status_code for one in waiting] == [200, 200]
    assert (await gateway.call("GET", WALLET)).status_code == 200


async def test_many_callers_at_once_each_get_their_own_answer(gateway: GatewayUnderTest) -> None:
    async def ask(number: int) -> tuple[httpx.Response, int]:
        headers = {"X-Request-Id": f"caller-{number}"}
        return await gateway.call("GET", f"/v1/orders/SO-{number}", headers=headers), number

    for answer, number in await asyncio.gather(*(ask(number) for number in range(200))):
        assert answer.status_code == 200
        assert answer.headers["X-Request-Id"] == f"caller-{number}"
    paths = {one.raw_path for one in gateway.services["loyalty"].received}
    assert paths == {f"/v1/orders/SO-{number}" for number in range(200)}
