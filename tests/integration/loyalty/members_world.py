"""Two records of one person, for the tests of merging, erasing and exporting."""

from datetime import timedelta
from typing import Any

import httpx

from tests.integration.loyalty.people import complete, enrol, place
from tests.support.service import ServiceUnderTest

HOLD = timedelta(days=7)


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
