"""An answer reads the same however the network cuts it."""

from dataclasses import dataclass
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.transport_parser import AnswerParser
from shared.http.transport_reply import OversizedAnswer, Reply


class _NoLine:
    def fail(self, reply: Reply, error: BaseException) -> None: ...
    def resume_reading(self) -> None: ...
    def sending_body(self) -> bool:
        return False

    def sending(self) -> bool:
        return False


@dataclass(frozen=True)
class Said:
    """An answer as the upstream meant it, and the bytes it wrote."""

    wire: bytes
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    bodiless: bool


NAMES = st.from_regex(rb"x-[a-z]{1,8}", fullmatch=True)
VALUES = st.from_regex(rb"([!-~\x80-\xff]([ -~\x80-\xff]{0,10}[!-~\x80-\xff])?)?", fullmatch=True)


@st.composite
def answers(draw: st.DrawFn) -> Said:
    status = draw(st.sampled_from([200, 201, 204, 304, 404, 422, 503]))
    headers = draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))
    body = b"" if status in (204, 304) else draw(st.binary(max_size=40))
    bodiless = draw(st.booleans())
    framing, framed = draw(st.sampled_from([_with_length, _in_chunks]))(draw, body)
    wire = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * draw(st.integers(0, 2))
    wire += b"HTTP/1.1 %d Any Words\r\n" % status
    headers = [*headers, framing]
    wire += b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n"
    bodiless_wire = bodiless or status in (204, 304)
    body = b"" if bodiless else body
    return Said(wire + (b"" if bodiless_wire else framed), status, headers, body, bodiless)


def _with_length(draw: st.DrawFn, body: bytes) -> tuple[tuple[bytes, bytes], bytes]:
    return (b"content-length", b"%d" % len(body)), body


def _in_chunks(draw: st.DrawFn, body: bytes) -> tuple[tuple[bytes, bytes], bytes]:
    framed = b""
    while body:
        size = draw(st.integers(1, len(body)))
        framed += b"%x%b\r\n%b\r\n" % (size, draw(st.sampled_from([b"", b";e=1"])), body[:size])
        body = body[size:]
    trailer = draw(st.sampled_from([b"", b"x-trailer: 1\r\n"]))
    return (b"transfer-encoding", b"chunked"), framed + b"0\r\n" + trailer + b"\r\n"


def _cut(wire: bytes, places: set[int]) -> list[bytes]:
    edges = [0, *sorted(place for place in places if 0 < place < len(wire)), len(wire)]
    return [wire[start:end] for start, end in pairwise(edges)]


def _read(parser: AnswerParser, said: Said, places: set[int]) -> Reply:
    reply = Reply(line=_NoLine(), whole=True, reused=False)
    parser.expect(reply=reply, bodiless=said.bodiless)
    for piece in _cut(said.wire, places):
        assert not parser.answered  # never before the last byte
        parser.feed(piece)
    assert parser.answered
    return reply


@given(st.lists(st.tuples(answers(), st.sets(st.integers(1, 300))), min_size=1, max_size=4))
def test_answers_on_one_connection_read_the_same_wherever_they_are_cut(
    exchanges: list[tuple[Said, set[int]]],
) -> None:
    parser = AnswerParser(head_limit_bytes=4096)
    for said, places in exchanges:
        reply = _read(parser, said, places)
        assert (reply.status, reply.headers) == (said.status, said.headers)
        assert b"".join(reply.chunks) == said.body
        assert parser.keep_alive


@given(answers(), st.sets(st.integers(1, 300)), st.binary(min_size=1, max_size=20))
def test_whatever_follows_an_answer_in_the_same_piece_spoils_the_connection_not_the_answer(
    said: Said, places: set[int], surplus: bytes
) -> None:
    surplus = b"H" + surplus  # line breaks alone may precede the next answer
    parser = AnswerParser(head_limit_bytes=4096)
    reply = Reply(line=_NoLine(), whole=True, reused=False)
    parser.expect(reply=reply, bodiless=said.bodiless)
    *first, last = _cut(said.wire, places)
    for piece in first:
        parser.feed(piece)
    parser.feed(last + surplus)
    assert (reply.status, b"".join(reply.chunks)) == (said.status, said.body)
    assert parser.answered
    assert not parser.keep_alive


@given(st.binary(max_size=60), st.booleans())
def test_no_bytes_make_it_fail_but_in_its_own_way(garbage: bytes, bodiless: bool) -> None:
    for wire in (garbage, b"HTTP/1.1 200 OK\r\n" + garbage):
        reply = Reply(line=_NoLine(), whole=True, reused=False)
        parser = AnswerParser(head_limit_bytes=32)
        parser.expect(reply=reply, bodiless=bodiless)
        try:
            parser.feed(wire)
        except httpx.RemoteProtocolError:
            assert not parser.answered


def test_a_trailer_is_limited_like_a_head() -> None:
    reply = Reply(line=_NoLine(), whole=True, reused=False)
    parser = AnswerParser(head_limit_bytes=1000)
    parser.expect(reply=reply, bodiless=False)
    parser.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: ")
    for _ in range(9):
        parser.feed(b"x" * 100)
    with pytest.raises(OversizedAnswer):
        parser.feed(b"x" * 200)
