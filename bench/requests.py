"""The requests of the load, as bytes. Every write has a key and an id of its own."""

import json
import random
from collections.abc import Callable
from typing import Final, Literal

Kind = Literal["earn", "redeem", "refund", "wallet"]
Spread = Literal["spread", "hot"]
#: The number of the one member that everybody is at in the hot runs.
HOT: Final = 0
#: What one order of the load is worth, what one redemption takes, and what one refund gives back.
PAID_FEN: Final = 2590
REDEEMED: Final = 30
REFUNDED_FEN: Final = 100
#: How many orders each filled member has, named `F-<member>-<1…>`.
FILLED_ORDERS: Final = 5

_HEAD: Final = "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {authorization}\r\n"
_BODY: Final = "Content-Type: application/json\r\nIdempotency-Key: %b\r\nContent-Length: "
_ID_LENGTH: Final = 26


def member_id(number: int) -> str:
    """The id of a filled member: `mem_` and the number in 26 digits."""
    return f"mem_{number:0{_ID_LENGTH}d}"


def request_maker(
    kind: Kind, *, run: str, authorization: str, members: int, spread: Spread
) -> Callable[[], bytes]:
    """What gives the bytes of one request after the other.

    `run` tells this run's ids from those of all others. Members are drawn from 1 to `members`, or
    it is always the hot one.
    """
    draw = random.Random(run).randrange  # noqa: S311 - a load, not a secret
    hot = member_id(HOT).encode()

    def member() -> bytes:
        return hot if spread == "hot" else b"mem_%026d" % draw(1, members + 1)

    if kind == "refund":
        most = 0 if spread == "hot" else members
        first = min(1, most)
        return _refund(
            lambda: (draw(first, most + 1), draw(1, FILLED_ORDERS + 1)),
            run=run,
            authorization=authorization,
        )
    if kind == "wallet":
        return _wallet(member, authorization=authorization)
    if kind == "redeem":
        return _redeem(member, run=run, authorization=authorization)
    return _earn(member, run=run, authorization=authorization)


def order_body(*, order_id: str, member: str) -> str:
    """An order as a storefront reports it: two lines, a channel and a payer."""
    items = [
        {"sku": "SERUM-30ML", "category": "skincare", "quantity": 1, "paid_fen": PAID_FEN - 600},
        {"sku": "MASK-5", "category": "skincare", "quantity": 2, "paid_fen": 600},
    ]
    order = {
        "order_id": order_id,
        "member_id": member,
        "paid_fen": PAID_FEN,
        "discount_fen": 300,
        "items": items,
        "channel": "mini_program",
        "paid_at": "2026-11-23T12:00:00+08:00",
        "payer_id": f"payer-{member}",
    }
    return json.dumps(order, separators=(",", ":"))


def redemption_body(*, reference: str) -> str:
    """Points spent at checkout."""
    redemption = {"points": REDEEMED, "purpose": "checkout", "reference": reference}
    return json.dumps(redemption, separators=(",", ":"))


def refund_body(*, refund_id: str) -> str:
    """A little of an order that went back."""
    refund = {
        "refund_id": refund_id,
        "amount_fen": REFUNDED_FEN,
        "refunded_at": "2026-11-23T12:00:00+08:00",
    }
    return json.dumps(refund, separators=(",", ":"))


def _head(method: str, path: str, authorization: str) -> str:
    return _HEAD.format(method=method, path=path, authorization=authorization)


def _earn(member: Callable[[], bytes], *, run: str, authorization: str) -> Callable[[], bytes]:
    order_id = run + "-0000000"
    body = order_body(order_id=order_id, member=member_id(HOT))
    parts = body.replace(order_id, "%b").replace(member_id(HOT), "%b")
    head = _head("POST", "/v1/orders", authorization) + f"{_BODY}{len(body.encode())}\r\n\r\n"
    template = (head + parts).encode()
    count = 0

    def make() -> bytes:
        nonlocal count
        count += 1
        order, whose = b"%b-%07d" % (run.encode(), count), member()
        return template % (order, order, whose, whose)

    return make


def _redeem(member: Callable[[], bytes], *, run: str, authorization: str) -> Callable[[], bytes]:
    reference = run + "-0000000"
    body = redemption_body(reference=reference)
    path = "/v1/members/%b/points/redemptions"
    head = _head("POST", path, authorization) + f"{_BODY}{len(body.encode())}\r\n\r\n"
    template = (head + body.replace(reference, "%b")).encode()
    count = 0

    def make() -> bytes:
        nonlocal count
        count += 1
        own = b"%b-%07d" % (run.encode(), count)
        return template % (member(), own, own)

    return make


def _refund(
    order: Callable[[], tuple[int, int]], *, run: str, authorization: str
) -> Callable[[], bytes]:
    refund_id = run + "-0000000"
    body = refund_body(refund_id=refund_id)
    head = _head("POST", "/v1/orders/F-%d-%d/refunds", authorization)
    head += f"{_BODY}{len(body.encode())}\r\n\r\n"
    template = (head + body.replace(refund_id, "%b")).encode()
    count = 0

    def make() -> bytes:
        nonlocal count
        count += 1
        own = b"%b-%07d" % (run.encode(), count)
        return template % (*order(), own, own)

    return make


def _wallet(member: Callable[[], bytes], *, authorization: str) -> Callable[[], bytes]:
    head = _head("GET", "/v1/members/%b/wallet", authorization)
    template = (head + "\r\n").encode()
    return lambda: template % member()
