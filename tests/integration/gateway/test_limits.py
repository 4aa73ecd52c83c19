"""What the front refuses before a service hears of it."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.policy import BODY_BYTES, BULK_BODY_BYTES, UPLOAD_BYTES
from tests.integration.gateway.rig import GatewayUnderTest

JSON = {"Content-Type": "application/json", "Idempotency-Key": "k-1", "Accept-Language": "en"}


async def pieces(size: int, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * size


def assert_refused(
    gateway: GatewayUnderTest, answer: httpx.Response, status: int, code: str
) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]
    assert answer.json()["status"] == status
    assert gateway.received() == []


async def test_a_body_may_be_as_large_as_the_limit_and_no_byte_larger(
    gateway: GatewayUnderTest,
) -> None:
    fits = await gateway.call("POST", "/v1/orders", content=b" " * BODY_BYTES, headers=JSON)
    assert fits.status_code == 200
    gateway.services["loyalty"].received.clear()
    over = await gateway.call("POST", "/v1/orders", content=b" " * (BODY_BYTES + 1), headers=JSON)
    assert_refused(gateway, over, 413, "body_too_large")
    assert str(BODY_BYTES) in over.json()["detail"]


async def test_a_body_in_chunks_is_counted(gateway: GatewayUnderTest) -> None:
    fits = await gateway.call("POST", "/v1/orders", content=pieces(4096, 16), headers=JSON)
    assert fits.status_code == 200
    gateway.services["loyalty"].received.clear()
    over = await gateway.call("POST", "/v1/orders", content=pieces(4096, 512), headers=JSON)
    assert_refused(gateway, over, 413, "body_too_large")


async def test_bulk_lists_may_be_larger(gateway: GatewayUnderTest) -> None:
    path = "/v1/voucher_templates/vtp_1/vouchers"
    fits = await gateway.call("POST", path, content=b" " * BULK_BODY_BYTES, headers=JSON)
    assert fits.status_code == 200
    gateway.services["loyalty"].received.clear()
    over = await gateway.call("POST", path, content=b" " * (BULK_BODY_BYTES + 1), headers=JSON)
    assert_refused(gateway, over, 413, "body_too_large")


@pytest.mark.parametrize("length", [str(UPLOAD_BYTES + 1), "9" * 18])
async def test_an_upload_that_announces_too_much_is_refused_before_it_comes(
    gateway: GatewayUnderTest, length: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http.base_url.port)
    writer.write(
        b"POST /v1/orders/imports HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
        b"Idempotency-Key: 1\r\n"
        b"Authorization: Bearer %b\r\nContent-Length: %b\r\n\r\n"
        % (gateway.manager.secret.text.encode(), length.encode())
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert gateway.received() == []
    writer.close()


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"],
)
async def test_another_content_type_is_415(gateway: GatewayUnderTest, content_type: str) -> None:
    headers = {**JSON, "Content-Type": content_type}
    answer = await gateway.call("POST", "/v1/orders", content=b"{}", headers=headers)
    assert_refused(gateway, answer, 415, "unsupported_media_type")
    assert "application/json" in answer.json()["detail"]


async def test_a_body_without_a_content_type_is_415(gateway: GatewayUnderTest) -> None:
    headers = {"Idempotency-Key": "1"}
    answer = await gateway.call("POST", "/v1/orders", content=b"{}", headers=headers)
    assert_refused(gateway, answer, 415, "unsupported_media_type")


async def test_a_packed_body_is_415(gateway: GatewayUnderTest) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    answer = await gateway.call("POST", "/v1/orders", content=b"{}", headers=headers)
    assert_refused(gateway, answer, 415, "unsupported_media_type")


async def test_json_is_no_upload_and_an_upload_no_json(gateway: GatewayUnderTest) -> None:
    answer = await gateway.call("POST", "/v1/orders/imports", content=b"{}", headers=JSON)
    assert_refused(gateway, answer, 415, "unsupported_media_type")
    answer = await gateway.call(
        "POST", "/v1/orders", content=b"{}", headers={**JSON, "Content-Type": "text/csv"}
    )
    assert_refused(gateway, answer, 415, "unsupported_media_type")


async def test_a_write_without_a_body_needs_no_content_type(gateway: GatewayUnderTest) -> None:
    assert (await gateway.call("POST", "/v1/segment_runs")).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": ""}], ids=["none", "empty"])
async def test_where_an_idempotency_key_is_required_it_is_asked_for(
    gateway: GatewayUnderTest, headers: dict[str, str]
) -> None:
    answer = await gateway.call("POST", "/v1/orders", json={}, headers=headers)
    assert_refused(gateway, answer, 400, "idempotency_key_missing")


@pytest.mark.parametrize("name", ["Authorization", "Idempotency-Key", "Content-Type"])
async def test_a_header_that_may_stand_once_and_stands_twice_is_refused(
    gateway: GatewayUnderTest, name: str
) -> None:
    headers = [
        ("Authorization", f"Bearer {gateway.manager.secret.text}"),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "1"),
        (name, "2"),
    ]
    answer = await gateway.http.post("/v1/orders", content=b"{}", headers=headers)
    assert_refused(gateway, answer, 400, "malformed_request")


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
async def test_a_key_under_another_scheme_is_none(gateway: GatewayUnderTest, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {gateway.manager.secret.text}".strip()}
    answer = await gateway.http.get("/v1/caller", headers=headers)
    assert_refused(gateway, answer, 401, "unauthenticated")


async def test_unknown_paths_and_methods_are_told_apart(gateway: GatewayUnderTest) -> None:
    assert_refused(gateway, await gateway.call("GET", "/v1/nothing"), 404, "not_found")
    wrong = await gateway.call("DELETE", "/v1/members")
    assert_refused(gateway, wrong, 405, "method_not_allowed")
    assert wrong.headers["Allow"] == "GET, HEAD, POST"
    options = await gateway.call("OPTIONS", "/v1/members", headers={"Origin": "https://x.test"})
    assert options.status_code == 405
    assert not [name for name in options.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/members/..%2f..%2fapi_keys",
        b"/v1/members/%2e%2e/api_keys",
        b"/v1/members/../api_keys",
        b"/v1//api_keys",
        b"/v1/api_keys/",
        b"/v1/members/%00",
        b"/v1/members/" + b"a" * 5000,
        b"/internal/events",
        b"/internal/openapi.json",
    ],
)
async def test_a_path_that_two_readers_may_read_in_two_ways_leads_nowhere(
    gateway: GatewayUnderTest, path: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http.base_url.port)
    key = gateway.manager.secret.text.encode()
    writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n" % (path, key))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert gateway.received() == []
    writer.close()


async def test_problems_speak_the_callers_language(gateway: GatewayUnderTest) -> None:
    chinese = await gateway.call("GET", "/v1/nothing")
    english = await gateway.call("GET", "/v1/nothing", headers={"Accept-Language": "en-GB"})
    assert (chinese.json()["title"], english.json()["title"]) == ("未找到", "Not found")
    assert english.headers["Content-Language"] == "en"


async def test_a_caller_who_goes_away_in_the_middle_of_a_body_harms_nobody(
    gateway: GatewayUnderTest,
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.http.base_url.port)
    writer.write(
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Idempotency-Key: 1\r\n"
        b"Authorization: Bearer %b\r\nContent-Length: 100\r\n\r\n{"
        % gateway.manager.secret.text.encode()
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await gateway.call("GET", "/v1/tiers")).status_code == 200
    assert [one.call.operation for one in gateway.received()] == ["list_tiers"]
