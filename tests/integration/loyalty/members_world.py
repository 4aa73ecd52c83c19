"""Two records of one person, for the tests of merging, erasing and exporting."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx

from tests.integration.loyalty.people import (
    complete,
    enrol,
    place,
    points_of,
    redeem,
    refund,
)
from tests.support.service import ServiceUnderTest

HOLD = timedelta(days=7)
NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}


async def merge(loyalty: ServiceUnderTest, target: str, source: str) -> dict[str, Any]:
    """Merge the source into the target; the reply."""
    reply = await merged(loyalty, target, source)
    assert reply.status_code == 201, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


async def merged(loyalty: ServiceUnderTest, target: str, source: str) -> httpx.Response:
    """Try to merge the source into the target."""
    return await loyalty.call(
        "merge_members",
        member_id=target,
        json={"source_member_id": source, "reason": "同一手机号"},
    )


async def part(loyalty: ServiceUnderTest, merge_id: str) -> dict[str, Any]:
    """Take a merge back; the reply."""
    reply = await parted(loyalty, merge_id)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


async def parted(loyalty: ServiceUnderTest, merge_id: str) -> httpx.Response:
    """Try to take a merge back."""
    return await loyalty.call("reverse_merge", merge_id=merge_id, json={"reason": "实为母女"})


async def erase(loyalty: ServiceUnderTest, member_id: str) -> httpx.Response:
    """Try to erase a member."""
    return await loyalty.call("erase_member", member_id=member_id)


async def export(loyalty: ServiceUnderTest, member_id: str) -> dict[str, Any]:
    """Everything about a member."""
    reply = await loyalty.call("export_member", member_id=member_id)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


async def known_as(loyalty: ServiceUnderTest, *identities: dict[str, Any], **profile: Any) -> str:
    """Enrol somebody by these identities; their id."""
    return await enrol(loyalty, identities=list(identities), **profile)


async def bought(
    loyalty: ServiceUnderTest, member_id: str, *, points: int, ready: bool = False
) -> str:
    """An order that earned so many points, usable if ready; its id. Time may pass the hold."""
    order_id = await place(loyalty, member_id, paid_fen=points * 100)
    if ready:
        await complete(loyalty, order_id)
        loyalty.clock.advance(HOLD)
    return order_id


async def totals(loyalty: ServiceUnderTest) -> int:
    """What all members can count on together, in points."""
    found = await loyalty.scalar(
        "select coalesce(sum(available + pending + held - debt), 0)::bigint from accounts"
    )
    return int(found)


async def owner(loyalty: ServiceUnderTest, table: str, key: str, value: str) -> str:
    """Whose a row is."""
    found = await loyalty.scalar(f"select member_id from {table} where {key} = :value", value=value)
    return str(found)


async def indebted(loyalty: ServiceUnderTest, *, points: int) -> str:
    """Somebody who spent the points of an order that then went back."""
    member_id = await enrol(loyalty)
    order_id = await bought(loyalty, member_id, points=points, ready=True)
    assert (await redeem(loyalty, member_id, points=points)).status_code == 201
    await refund(loyalty, order_id, amount_fen=points * 100)
    assert await points_of(loyalty, member_id) == {**NOTHING, "debt": points}
    return member_id


async def reserve(loyalty: ServiceUnderTest, member_id: str, *, points: int) -> str:
    """A checkout that holds points; its id."""
    body: Mapping[str, Any] = {
        "member_id": member_id,
        "items": [{"sku": "SERUM-30ML", "quantity": 1, "amount_fen": 10_000}],
        "points": points,
    }
    reply = await loyalty.call("reserve_checkout", json=body)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


async def lots_of(loyalty: ServiceUnderTest, member_id: str) -> dict[str, Any]:
    """A member's lots that hold points, but for the member's id."""
    rows = await loyalty.rows(
        "select id, (to_jsonb(point_lots) - 'member_id' - 'moved_by') as facts from point_lots"
        " where member_id = :member_id and remaining > 0",
        member_id=member_id,
    )
    return {row.id: row.facts for row in rows}
