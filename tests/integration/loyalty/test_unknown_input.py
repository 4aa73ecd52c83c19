"""What an operation does not read is refused: ignored, a misspelt name does the opposite."""

from typing import Any

import pytest

from tests.integration.loyalty.people import points_of, spendable
from tests.support.service import ServiceUnderTest, Starter


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("show_points", {"as_off": "2020-01-01T00:00:00Z"}),
        ("list_adjustments", {"status": "pending"}),
        ("find_members", {"limit": 1000}),
        ("show_wallet", {"as_of": "2020-01-01T00:00:00Z"}),
    ],
)
async def test_a_query_parameter_that_is_not_read_is_named(
    loyalty: ServiceUnderTest, operation: str, given: dict[str, Any]
) -> None:
    member_id = await spendable(loyalty, points=10)
    path: dict[str, Any] = {"member_id": member_id} if operation.startswith("show") else {}
    known = {"identity_kind": "external", "identity_value": "x"}
    params = given | (known if operation == "find_members" else {})
    reply = await loyalty.call(operation, params=params, **path)
    assert (reply.status_code, reply.json()["code"]) == (422, "validation_failed")
    assert [one["pointer"] for one in reply.json()["errors"]] == [f"?{name}" for name in given]


@pytest.mark.parametrize("content", [b'{"points":20}', b"not json", b"[]"])
async def test_a_body_that_is_not_read_changes_nothing(
    loyalty: ServiceUnderTest, content: bytes
) -> None:
    member_id = await spendable(loyalty, points=50)
    given = {"points": 50, "purpose": "gift", "reference": "G-1"}
    held = (await loyalty.call("hold_points", member_id=member_id, json=given)).json()["id"]
    headers = {"Content-Type": "application/json"}
    reply = await loyalty.call("release_hold", redemption_id=held, content=content, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (422, "validation_failed")
    assert (await points_of(loyalty, member_id))["held"] == 50
    for nothing in (b"{}", b""):
        reply = await loyalty.call(
            "release_hold", redemption_id=held, content=nothing, headers=headers
        )
        assert reply.status_code == 200, reply.text
    assert (await points_of(loyalty, member_id))["available"] == 50
