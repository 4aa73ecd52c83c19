"""What the transport puts on the wire, and what it refuses to put there."""

from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.transport import Origin
from shared.http.transport_wire import streamed_request, whole_request

LOYALTY = Origin("loyalty", 8001)


def whole(
    *,
    method: str = "POST",
    target: bytes = b"/v1/orders?a=1",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    body: bytes = b"",
) -> bytes:
    request = whole_request(
        origin=LOYALTY, method=method, target=target, headers=headers, body=body
    )
    return request.message


def test_a_whole_request_is_one_message_with_host_and_length() -> None:
    message = whole(headers=((b"x-request-id", b"r1"),), body=b"{}")
    assert message == (
        b"POST /v1/orders?a=1 HTTP/1.1\r\nhost: loyalty:8001\r\ncontent-length: 2\r\n"
        b"x-request-id: r1\r\n\r\n{}"
    )


def test_a_get_without_a_body_has_no_length_and_a_post_always_has_one() -> None:
    assert b"content-length" not in whole(method="GET")
    assert b"content-length: 0\r\n" in whole(method="POST")


def test_a_given_host_is_kept() -> None:
    message = whole(headers=((b"Host", b"shop.example"),))
    assert message.lower().count(b"host:") == 1


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://loyalty", b"loyalty"),
        ("http://loyalty:80/", b"loyalty"),
        ("http://127.0.0.1:8001", b"127.0.0.1:8001"),
        ("http://[::1]:8001", b"[::1]:8001"),
    ],
)
def test_an_origin_is_named_as_hosts_are(url: str, authority: bytes) -> None:
    assert Origin.of(url=url).authority == authority


@pytest.mark.parametrize("url", ["https://loyalty", "ftp://loyalty", "loyalty:8001", "http:///v1"])
def test_only_plain_http_with_a_host_is_an_origin(url: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        Origin.of(url=url)


@pytest.mark.parametrize(
    "header",
    [
        (b"x-evil", b"a\r\nx-more: b"),
        (b"x-evil", b"a\n"),
        (b"x-evil", b"a\r"),
        (b"x-evil", b"a\x00"),
        (b"x-evil\r\nx-more", b"a"),
        (b"x-evil: a", b"b"),
        (b"x evil", b"a"),
        (b"", b"a"),
        (b"content-length", b"0"),
        (b"Content-Length", b"0"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close"),
    ],
)
def test_a_header_that_would_bend_the_message_is_refused(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        whole(headers=(header,))


@pytest.mark.parametrize("target", [b"", b"/a b", b"/a\r\nx: y", b"/\n", b"/\x00", b"/ HTTP/1.1"])
def test_a_target_that_would_bend_the_message_is_refused(target: bytes) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        whole(target=target)


@pytest.mark.parametrize("method", ["", "GET /evil", "GET\r\n", "取", "G:T"])
def test_a_method_that_is_no_word_is_refused(method: str) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        whole(method=method)


def test_tunnels_are_not_opened() -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        whole(method="CONNECT")


@given(
    name=st.binary(min_size=0, max_size=8),
    value=st.binary(max_size=12),
    target=st.binary(max_size=12),
)
def test_whatever_is_written_is_read_back_as_it_was_meant(
    name: bytes, value: bytes, target: bytes
) -> None:
    try:
        message = whole(headers=((name, value),), target=target)
    except httpx.LocalProtocolError:
        return
    head, body = message.split(b"\r\n\r\n", 1)
    line, *fields = head.split(b"\r\n")
    assert line.split(b" ") == [b"POST", target, b"HTTP/1.1"]
    assert fields[-1] == name + b": " + value
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert body == b""


@pytest.mark.parametrize(
    "headers",
    [
        {"content-length": "3", "transfer-encoding": "chunked"},
        {"transfer-encoding": "gzip"},
        {"content-length": "+3"},
        {"content-length": "4"},
        {},
    ],
)
def test_a_body_framed_twice_or_wrongly_or_not_at_all_is_refused(headers: dict[str, str]) -> None:
    request = httpx.Request(
        "POST", "http://loyalty", headers=headers, stream=httpx.ByteStream(b"abc")
    )
    with pytest.raises(httpx.LocalProtocolError):
        streamed_request(request=request)


def test_two_lengths_are_refused() -> None:
    headers = [("content-length", "3"), ("content-length", "3")]
    request = httpx.Request(
        "POST", "http://loyalty", headers=headers, stream=httpx.ByteStream(b"abc")
    )
    with pytest.raises(httpx.LocalProtocolError):
        streamed_request(request=request)


def test_only_an_idempotent_request_with_its_body_in_memory_may_be_repeated() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"abc"

    def repeatable(method: str, content: bytes | AsyncIterator[bytes] | None) -> bool:
        request = httpx.Request(method, "http://loyalty", content=content)
        return streamed_request(request=request).repeatable

    assert repeatable("PUT", b"abc")
    assert repeatable("PUT", b"a" * 100_000)
    assert repeatable("GET", None)
    assert not repeatable("POST", b"abc")
    assert not repeatable("PATCH", b"abc")
    assert not repeatable("PUT", stream())
