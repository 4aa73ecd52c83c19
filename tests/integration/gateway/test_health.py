"""Health and readiness tell the truth."""

import re

from tests.integration.gateway.rig import GatewayStarter, GatewayUnderTest
from tests.support.databases import Databases
from tests.support.processes import free_port
from tests.support.waiting import until


async def test_health_and_readiness_need_no_key(gateway: GatewayUnderTest) -> None:
    health = await gateway.call("GET", "/healthz", key=None)
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    ready = await gateway.call("GET", "/readyz", key=None)
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "parts": dict.fromkeys(("gateway", "loyalty", "referral", "segmentation"), "ready"),
    }
    assert "X-Request-Id" in ready.headers


async def test_a_service_that_is_not_ready_is_named_and_then_ready_again(
    gateway: GatewayUnderTest,
) -> None:
    gateway.services["referral"].ready = False

    async def referral_is(state: str) -> bool:
        answer = await gateway.call("GET", "/readyz", key=None)
        good = answer.json()["parts"]["referral"] == state
        if good:
            assert answer.status_code == (200 if state == "ready" else 503)
        return bool(good)

    await until(lambda: referral_is("not_ready"), what="the gateway to notice")
    gateway.services["referral"].ready = True
    await until(lambda: referral_is("ready"), what="the gateway to notice again")


async def test_without_its_own_database_the_gateway_is_not_ready_and_says_503(
    start_gateway: GatewayStarter, databases: Databases
) -> None:
    gateway = await start_gateway(loyalty_url=f"http://127.0.0.1:{free_port()}")
    await gateway.database.close()
    databases.servers.drop_database(gateway.database.engine.url.database or "")
    ready = await gateway.call("GET", "/readyz", key=None)
    assert ready.status_code == 503
    assert ready.json()["parts"]["gateway"] == "not_ready"
    assert ready.json()["parts"]["loyalty"] == "not_ready"
    assert ready.json()["parts"]["referral"] == "ready"
    health = await gateway.call("GET", "/healthz", key=None)
    assert health.status_code == 200
    answer = await gateway.call("GET", "/v1/caller")
    assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable")


async def test_metrics_count_what_was_answered_by_operation(gateway: GatewayUnderTest) -> None:
    await gateway.call("GET", "/v1/tiers")
    figures = (await gateway.call("GET", "/v1/services/gateway/metrics")).text
    assert re.search(
        r'^huitou_http_requests_total{operation="list_tiers",service="gateway",status="200"} [1-9]',
        figures,
        re.MULTILINE,
    )
