"""Members whose enrolment is still on its way: loyalty itself is asked, its real application."""

import importlib
from collections.abc import AsyncIterator

import httpx
import pytest

from services.segmentation.domain.segments import Segment
from shared.contracts.loyalty import MemberErased
from shared.kernel.clock import FixedClock
from tests.integration.segmentation.loyalty_feed import a_member, enrolled, paid, tell
from tests.support.service import NOON, ServiceUnderTest, Starter, settings_of, signer_of
from tests.support.serving import serving


@pytest.fixture
async def loyalty_url(start: Starter) -> AsyncIterator[str]:
    """A running loyalty service."""
    settings = settings_of(
        "loyalty",
        database_url=start.databases.fresh("loyalty"),
        redis_url=start.servers.redis_url(),
    )
    loyalty = importlib.import_module("services.loyalty.main")
    async with serving(loyalty.build(settings, clock=FixedClock(NOON))) as url:
        yield url


async def enrol(loyalty_url: str) -> str:
    """Enrol somebody at loyalty; says under which id."""
    token = signer_of("gateway").token(audience="loyalty", operation="enrol_member")
    async with httpx.AsyncClient(base_url=loyalty_url, trust_env=False) as http:
        enrolled = await http.post(
            "/v1/members",
            json={"identities": [{"kind": "external", "value": "shop-1001"}]},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert enrolled.status_code == 201, enrolled.text
    return str(enrolled.json()["id"])


async def test_a_member_just_enrolled_is_a_prospect_before_the_event_comes(
    start: Starter, loyalty_url: str
) -> None:
    service = await start("segmentation", loyalty_url=loyalty_url)
    member_id = await enrol(loyalty_url)

    now = await service.call("show_member_segment", member_id=member_id)
    before = await service.call(
        "show_member_segment", member_id=member_id, params={"as_of": "2026-11-01"}
    )

    assert (now.status_code, before.status_code) == (200, 200)
    assert now.json()["segment"] == before.json()["segment"] == Segment.prospect
    assert (now.json()["as_of"], before.json()["as_of"]) == ("2026-11-23", "2026-11-01")
    assert await service.rows("select * from members") == []


async def test_a_member_whom_loyalty_does_not_know_is_not_found(
    start: Starter, loyalty_url: str
) -> None:
    service = await start("segmentation", loyalty_url=loyalty_url)

    reply = await service.call("show_member_segment", member_id=a_member())

    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


async def test_while_loyalty_is_away_an_unknown_member_is_neither_found_nor_denied(
    start: Starter,
) -> None:
    service: ServiceUnderTest = await start("segmentation")

    reply = await service.call("show_member_segment", member_id=a_member())

    assert (reply.status_code, reply.json()["code"]) == (503, "temporarily_unavailable")
    assert reply.headers["Retry-After"]


async def test_where_an_erased_member_stands_is_shown_to_nobody(
    start: Starter, loyalty_url: str
) -> None:
    service = await start("segmentation", loyalty_url=loyalty_url)
    gone, other = a_member(), a_member()
    await tell(service, enrolled(gone), paid(gone, 25_900), paid(other, 9_900))
    sizes = (await service.call("list_segments")).json()
    assert (await service.call("show_member_segment", member_id=gone)).status_code == 200

    await tell(service, MemberErased(member_id=gone, erased_at=NOON))

    for asked in ({}, {"as_of": "2026-11-22"}):
        reply = await service.call("show_member_segment", member_id=gone, params=asked)
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
    assert (await service.call("show_member_segment", member_id=other)).status_code == 200
    assert (await service.call("list_segments")).json() == sizes, "what was bought still counts"
