"""Files of points to import, and what comes of them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from tests.integration.loyalty import imports_world
from tests.integration.loyalty.imports_world import ndjson
from tests.support.service import ServiceUnderTest

LONG_AGO = "2026-01-05T10:00:00+08:00"


def balance(reference: str, points: int, **fields: Any) -> dict[str, Any]:
    """An opening balance, of customer 7 unless it says otherwise."""
    given = {
        "kind": "balance",
        "reference": reference,
        "identity_value": "customer-7",
        "points": points,
        **fields,
    }
    return {name: value for name, value in given.items() if value is not None}


def past(kind: str, reference: str, points: int, **fields: Any) -> dict[str, Any]:
    """A movement of the past, of customer 7 unless it says otherwise."""
    return balance(reference, points, **{"kind": kind, "occurred_at": LONG_AGO, **fields})


async def imported(
    loyalty: ServiceUnderTest,
    lines: Sequence[dict[str, Any]] | bytes | AsyncIterator[bytes],
    **sent: Any,
) -> dict[str, Any]:
    """Send a file of points; the import as it ended."""
    content = (
        ndjson(lines) if isinstance(lines, Sequence) and not isinstance(lines, bytes) else lines
    )
    return await imports_world.imported(loyalty, content, operation="import_points", **sent)


def counts(state: dict[str, Any]) -> tuple[int, int, int]:
    """How many lines were posted, repeated and refused."""
    return state["movements"], state["repeated"], state["refused"]


async def refusals(loyalty: ServiceUnderTest, import_id: str) -> list[tuple[int, str, str | None]]:
    """Refused lines: number, code and pointer."""
    return await imports_world.refusals(loyalty, import_id, operation="list_points_import_refusals")


async def customer(loyalty: ServiceUnderTest, who: str = "customer-7") -> str:
    """The id of the member with this external identity."""
    found = await loyalty.call(
        "find_members", params={"identity_kind": "external", "identity_value": who}
    )
    (member,) = found.json()["data"]
    member_id: str = member["id"]
    return member_id


async def statement(loyalty: ServiceUnderTest, member_id: str) -> list[dict[str, Any]]:
    """A member's entries, oldest first."""
    reply = await loyalty.call("list_point_entries", member_id=member_id, params={"limit": 200})
    assert reply.status_code == 200, reply.text
    return list(reversed(reply.json()["data"]))
