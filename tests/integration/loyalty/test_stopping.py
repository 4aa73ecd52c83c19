"""A process that is told to stop answers what it has taken in, also what waits for a batch."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from services.loyalty import main
from services.loyalty.settings import LoyaltySettings
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.people import spendable
from tests.integration.loyalty.racing import ACCOUNTS
from tests.servers import Servers
from tests.support.service import MANAGER, ServiceUnderTest, Starter, settings_of, signer_of
from tests.support.serving import serving
from tests.support.waiting import until

REQUESTS = 20


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_requests_that_wait_for_a_batch_are_answered_before_the_process_stops(
    loyalty: ServiceUnderTest, servers: Servers
) -> None:
    member_id = await spendable(loyalty, points=100)
    url = loyalty.database.engine.url.render_as_string(hide_password=False)
    settings = settings_of(
        "loyalty", database_url=url, redis_url=servers.redis_url(1), background=False
    )
    assert isinstance(settings, LoyaltySettings)
    app = main.build(settings, clock=loyalty.clock)
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(app))
        async with (
            httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as http,
            loyalty.database.engine.connect() as holder,
        ):
            await holder.execute(text(ACCOUNTS))
            first = asyncio.create_task(redeem(http, member_id, number=0))
            await until(lambda: stands_at_the_lock(loyalty), what="the first batch to wait")
            others = [
                asyncio.create_task(redeem(http, member_id, number=number))
                for number in range(1, REQUESTS)
            ]
            await until(lambda: waiting_in(app) == REQUESTS - 1, what="the others to queue")
            stopping = asyncio.create_task(stack.aclose())
            await until(lambda: refuses(address), what="the stop to begin")
            await holder.rollback()
            answers = await asyncio.gather(first, *others)
            await stopping
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [409] * 15
    assert await loyalty.scalar("select count(*) from redemptions") == 5
    await audit(loyalty)


async def redeem(http: httpx.AsyncClient, member_id: str, *, number: int) -> httpx.Response:
    """Twenty points, over a connection."""
    token = signer_of("gateway").token(
        audience="loyalty", operation="redeem_points", principal=MANAGER
    )
    return await http.post(
        f"/v1/members/{member_id}/points/redemptions",
        json={"points": 20, "purpose": "checkout", "reference": f"SO-{number}"},
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": f"key-{number}"},
    )


async def stands_at_the_lock(loyalty: ServiceUnderTest) -> bool:
    """Whether somebody waits for a lock of this database."""
    return bool(
        await loyalty.scalar(
            "select count(*) > 0 from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        )
    )


def waiting_in(app: FastAPI) -> int:
    """How many redemptions wait for a batch."""
    return len(app.state.redemptions.collector._waiting)


async def refuses(address: str) -> bool:
    """Whether nobody listens there any more."""
    url = httpx.URL(address)
    try:
        _, writer = await asyncio.open_connection(url.host, url.port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False
