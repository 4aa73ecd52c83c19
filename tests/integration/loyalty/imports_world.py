"""Histories to import, and what comes of them."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx

from tests.support.service import ServiceUnderTest

NDJSON = "application/x-ndjson"


def line(number: int, **fields: Any) -> dict[str, Any]:
    """One order of a history, of customer 7 unless it says otherwise."""
    given = {
        "order_id": f"H-{number}",
        "identity_value": "customer-7",
        "paid_fen": 9900,
        "paid_at": "2025-06-18T20:00:00+08:00",
        **fields,
    }
    return {name: value for name, value in given.items() if value is not None}


def ndjson(lines: Sequence[dict[str, Any]]) -> bytes:
    """Lines as a file."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


async def pieces(content: bytes, *, size: int = 4096) -> AsyncIterator[bytes]:
    """A file as it arrives."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def upload(
    loyalty: ServiceUnderTest,
    content: bytes | AsyncIterator[bytes],
    *,
    key: str = "new",
    media_type: str = NDJSON,
    operation: str = "import_orders",
    **params: Any,
) -> httpx.Response:
    """Send a file."""
    sent: Any = pieces(content) if isinstance(content, bytes) else content
    headers = {"Content-Type": media_type}
    return await loyalty.call(operation, content=sent, key=key, headers=headers, params=params)


def states(reply: httpx.Response) -> list[dict[str, Any]]:
    """The import as it stood at each line of the reply."""
    assert reply.status_code == 201, reply.text
    assert reply.headers["content-type"] == NDJSON
    return [json.loads(one) for one in reply.text.splitlines()]


async def imported(
    loyalty: ServiceUnderTest, content: bytes | AsyncIterator[bytes], **sent: Any
) -> dict[str, Any]:
    """Send a file; the import as it ended."""
    return states(await upload(loyalty, content, **sent))[-1]


def counts(state: dict[str, Any]) -> dict[str, int]:
    """What became of the lines."""
    return {n: state[n] for n in ("lines", "orders", "repeated", "refused", "members")}


async def refusals(
    loyalty: ServiceUnderTest, import_id: str, *, operation: str = "list_order_import_refusals"
) -> list[tuple[int, str, str | None]]:
    """Refused lines: number, code and pointer."""
    reply = await loyalty.call(operation, import_id=import_id, params={"limit": 200})
    assert reply.status_code == 200, reply.text
    return [(one["line"], one["code"], one["pointer"]) for one in reply.json()["data"]]
