"""The sandbox's clock over HTTP, in the processes that `make run MODE=sandbox` starts."""

import os
import signal
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.e2e.runner_process import RunnerProcess
from tests.e2e.storefront import Storefront
from tests.support.waiting import until

DAY_S = 86_400


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunnerProcess]:
    """A sandbox of its own: its time is moved far ahead."""
    directory = tmp_path_factory.mktemp("sandbox") / "data"
    async with RunnerProcess(directory, {"HUITOU_MODE": "sandbox"}) as runner:
        yield runner


@pytest.fixture(scope="module")
async def shop(sandbox: RunnerProcess) -> AsyncIterator[Storefront]:
    """A storefront that plays in it."""
    headers = {"Authorization": f"Bearer {await sandbox.first_key()}"}
    async with httpx.AsyncClient(
        base_url=sandbox.address, headers=headers, timeout=30, trust_env=False
    ) as http:
        yield Storefront(http)


async def settled(shop: Storefront) -> Any:
    """The clock, once it has settled; a gateway that is away just now is asked again."""
    found: Any = None

    async def look() -> bool:
        nonlocal found
        try:
            reply = await shop.http.get("/v1/test_clock")
        except httpx.TransportError:
            return False
        found = reply.json()
        return reply.status_code == 200 and bool(found["settled"])

    await until(look, what="the clock to settle", within_s=240)
    return found


async def advance(shop: Storefront, *, days: int) -> Any:
    """Move the clock and wait until it has settled."""
    await shop.post("/v1/test_clock/advance", {"seconds": days * DAY_S}, expect=202)
    return await settled(shop)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_points_become_available_and_vouchers_lapse_when_time_is_moved(
    shop: Storefront,
) -> None:
    member = await shop.enrol()
    order = await shop.order(member, paid_fen=29_900)
    now = (await shop.get("/v1/test_clock"))["now"]
    await shop.post(f"/v1/orders/{order}/completion", {"completed_at": now}, expect=200)
    terms = {
        "name": "满199减50",
        "kind": "amount_off",
        "amount_fen": 5_000,
        "threshold_fen": 19_900,
        "validity_days": 5,
    }
    template = (await shop.post("/v1/voucher_templates", terms))["id"]
    await shop.post(f"/v1/voucher_templates/{template}/vouchers", {"member_ids": [member]})
    wallet = await shop.wallet(member)
    assert (wallet["points"]["pending"], wallet["points"]["available"]) == (299, 0)
    assert wallet["vouchers"]["usable"] == 1

    clock = await advance(shop, days=8)

    assert (moment(clock["now"]) - moment(clock["advanced_from"])).days == 8
    wallet = await shop.wallet(member)
    assert (wallet["points"]["pending"], wallet["points"]["available"]) == (0, 299)
    assert wallet["vouchers"]["usable"] == 0
    assert len(await shop.vouchers(member, state="expired")) == 1
    entries = (await shop.get(f"/v1/members/{member}/points/entries"))["data"]
    released = next(entry for entry in entries if entry["kind"] == "released")
    assert 0 <= (moment(released["occurred_at"]) - moment(now)).total_seconds() - 7 * DAY_S < 60
    # What is done now is done at the new time, by whichever service.
    late = await shop.enrol()
    created = (await shop.get(f"/v1/members/{late}"))["created_at"]
    assert moment(created) >= moment(clock["now"])


async def test_a_gateway_killed_on_the_way_comes_back_and_the_clock_settles(
    sandbox: RunnerProcess, shop: Storefront
) -> None:
    before = await settled(shop)
    asked = await shop.post("/v1/test_clock/advance", {"seconds": 30 * DAY_S}, expect=202)

    async def on_its_way() -> bool:
        clock = await shop.get("/v1/test_clock")
        assert not clock["settled"], "it was too quick to be killed on the way"
        return bool(clock["moments_visited"] >= 3)

    await until(on_its_way, what="the clock to be on its way")
    killed = sandbox.children()["gateway"]
    os.kill(killed, signal.SIGKILL)
    await until(
        lambda: sandbox.children().get("gateway", killed) != killed, what="the gateway's return"
    )
    clock = await settled(shop)
    assert moment(clock["now"]) >= moment(asked["advancing_to"])
    assert moment(clock["now"]) >= moment(before["now"])
    assert clock["moments_visited"] >= 30


async def test_a_live_system_does_not_let_its_time_be_moved(storefront: Storefront) -> None:
    reply = await storefront.send("/v1/test_clock/advance", {"seconds": 60})
    assert (reply.status_code, reply.json()["code"]) == (404, "sandbox_only")
    reply = await storefront.http.get("/v1/test_clock")
    assert (reply.status_code, reply.json()["code"]) == (404, "sandbox_only")
