"""The requests of the load."""

import json

import pytest

from bench.__main__ import options_of
from bench.requests import HOT, Kind, Spread, member_id, request_maker


def _some(kind: Kind, count: int, *, spread: Spread = "spread") -> list[bytes]:
    make = request_maker(kind, run="B1", authorization="Bearer t", members=3, spread=spread)
    return [make() for _ in range(count)]


@pytest.mark.parametrize("kind", ["earn", "redeem", "refund"])
def test_every_write_is_valid_json_with_a_key_of_its_own(kind: Kind) -> None:
    keys = set()
    for request in _some(kind, 50):
        head, _, body = request.partition(b"\r\n\r\n")
        headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        assert int(headers[b"Content-Length"]) == len(body)
        assert json.loads(body)
        keys.add(headers[b"Idempotency-Key"])
    assert len(keys) == 50


def test_every_order_has_an_id_of_its_own() -> None:
    orders = [json.loads(one.partition(b"\r\n\r\n")[2]) for one in _some("earn", 50)]
    assert len({order["order_id"] for order in orders}) == 50
    assert {order["member_id"] for order in orders} == {member_id(number) for number in (1, 2, 3)}


def test_the_hot_member_gets_every_request() -> None:
    hot = member_id(HOT).encode()
    assert all(hot in request for request in _some("wallet", 5, spread="hot"))
    assert not any(hot in request for request in _some("wallet", 20))


def test_parts_are_measured_in_their_own_order() -> None:
    assert options_of(["--parts", "hot,earn"]).parts == ("earn", "hot")


@pytest.mark.parametrize("arguments", [["--parts", "earm"], ["--rounds", "0"], ["--parts", ""]])
def test_an_unknown_part_or_no_round_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        options_of(arguments)
    assert refusal.value.code == 2
