"""The sandbox's clock, asked for through the gateway."""

from datetime import timedelta

import pytest

from gateway.domain.api_keys import new_key
from gateway.store.api_keys import insert_key
from shared.db import Transaction
from tests.integration.gateway.rig import GatewayStarter, GatewayUnderTest
from tests.support.service import NOON

ADVANCE = "/v1/test_clock/advance"


@pytest.fixture
async def sandbox(start_gateway: GatewayStarter) -> GatewayUnderTest:
    """A gateway of a sandbox; nobody makes the moves that are asked for."""
    return await start_gateway(mode="sandbox")


async def key_of(gateway: GatewayUnderTest, *scopes: str) -> str:
    secret = new_key(mode="sandbox")

    async def make(transaction: Transaction) -> None:
        await insert_key(
            transaction.session,
            key=secret,
            name="tester",
            scopes=list(scopes),
            created_by="test",
            created_at=transaction.now,
            expires_at=None,
        )

    await gateway.database.run(make, actor="test")
    return secret.text


async def test_a_live_system_refuses(gateway: GatewayUnderTest) -> None:
    for method, path in (("GET", "/v1/test_clock"), ("POST", ADVANCE)):
        body = {"seconds": 60} if method == "POST" else None
        reply = await gateway.call(method, path, json=body)
        assert (reply.status_code, reply.json()["code"]) == (404, "sandbox_only")
    assert gateway.database.clock.now() == NOON
    assert gateway.app.state.journey is None


async def test_a_move_is_asked_for_once_and_seen(sandbox: GatewayUnderTest) -> None:
    key = await key_of(sandbox, "clock:manage", "clock:read")
    before = (await sandbox.call("GET", "/v1/test_clock", key=key)).json()
    assert before == {
        "now": "2026-11-23T04:00:00Z",
        "settled": True,
        "advancing_to": None,
        "advanced_from": None,
        "moments_visited": 0,
        "waiting_for": None,
    }
    headers = {"Idempotency-Key": "a-week"}
    asked = await sandbox.call("POST", ADVANCE, key=key, json={"seconds": 604_800}, headers=headers)
    assert asked.status_code == 202, asked.text
    assert asked.json()["advancing_to"] == "2026-11-30T04:00:00Z"
    assert asked.json()["settled"] is False
    again = await sandbox.call("POST", ADVANCE, key=key, json={"seconds": 604_800}, headers=headers)
    assert again.json() == asked.json()
    other = await sandbox.call("POST", ADVANCE, key=key, json={"seconds": 1})
    assert (other.status_code, other.json()["code"]) == (409, "clock_is_moving")
    assert (await sandbox.call("GET", "/v1/test_clock", key=key)).json() == asked.json()


@pytest.mark.parametrize("seconds", [0, -1, 1.5, "60", None, 316_224_001, 2**70, True])
async def test_a_span_that_makes_no_sense_is_refused(
    sandbox: GatewayUnderTest, seconds: object
) -> None:
    key = await key_of(sandbox, "clock:manage")
    reply = await sandbox.call("POST", ADVANCE, key=key, json={"seconds": seconds})
    assert (reply.status_code, reply.json()["code"]) == (422, "validation_failed")


async def test_ten_years_at_a_time_never_lead_out_of_the_century(
    sandbox: GatewayUnderTest,
) -> None:
    key = await key_of(sandbox, "clock:manage", "clock:read")
    sandbox.clock.at = NOON + timedelta(days=65 * 366)
    reply = await sandbox.call("POST", ADVANCE, key=key, json={"seconds": 316_224_000})
    assert (reply.status_code, reply.json()["code"]) == (409, "clock_too_far")
    assert (await sandbox.call("GET", "/v1/test_clock", key=key)).json()["settled"] is True


async def test_seeing_the_clock_is_not_moving_it(sandbox: GatewayUnderTest) -> None:
    key = await key_of(sandbox, "clock:read")
    assert (await sandbox.call("GET", "/v1/test_clock", key=key)).status_code == 200
    reply = await sandbox.call("POST", ADVANCE, key=key, json={"seconds": 1})
    assert (reply.status_code, reply.json()["code"]) == (403, "scope_missing")
