"""The whole authorisation matrix: every operation of the policy table, every kind of caller."""

import re
import uuid
from datetime import timedelta

import httpx
import pytest

from gateway.domain.api_keys import ALL_SCOPES, new_key
from gateway.policy import OPERATIONS, SCOPES, Operation
from tests.integration.gateway.rig import GatewayUnderTest
from tests.support.service import NOON

NAMES = [operation.id for operation in OPERATIONS]


async def ask(gateway: GatewayUnderTest, operation: Operation, key: str | None) -> httpx.Response:
    """Ask for an operation with everything right but, perhaps, the key."""
    for service in gateway.services.values():
        service.received.clear()
    headers = {"Accept-Language": "en"}
    content = None
    if operation.method in ("POST", "PUT"):
        headers["Content-Type"] = operation.media_types[0]
        headers["Idempotency-Key"] = uuid.uuid4().hex
        content = b"{}"
    path = re.sub(r"\{\w+\}", "00000000", operation.path)
    return await gateway.call(operation.method, path, key=key, headers=headers, content=content)


def assert_let_in(
    gateway: GatewayUnderTest, operation: Operation, answer: httpx.Response, key_id: str
) -> None:
    if operation.service == "gateway":
        assert answer.status_code not in (401, 403), operation.id
        assert gateway.received() == []
        return
    assert answer.status_code == 200, operation.id
    (received,) = gateway.received()
    assert received.call.operation == operation.id
    assert received.call.principal.id == key_id
    assert gateway.services[operation.service].received == [received]


def assert_kept_out(gateway: GatewayUnderTest, answer: httpx.Response, code: str) -> None:
    assert answer.json()["code"] == code
    assert gateway.received() == []


async def assert_nobody(gateway: GatewayUnderTest, key: str | None) -> None:
    for operation in OPERATIONS:
        answer = await ask(gateway, operation, key)
        assert answer.status_code == 401, operation.id
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert_kept_out(gateway, answer, "unauthenticated")


async def test_without_a_key_nothing_can_be_done(gateway: GatewayUnderTest) -> None:
    await assert_nobody(gateway, None)


@pytest.mark.parametrize(
    "key",
    ["x", "hk_live_1a2b3c4d", "eyJhbGciOiJub25lIn0.e30.", "hk_live_" + "0" * 58],
    ids=["short", "only an id", "a token of another kind", "mistyped"],
)
async def test_with_a_malformed_key_nothing_can_be_done(
    gateway: GatewayUnderTest, key: str
) -> None:
    await assert_nobody(gateway, key)


async def test_with_a_well_formed_key_that_was_never_made_nothing_can_be_done(
    gateway: GatewayUnderTest,
) -> None:
    await assert_nobody(gateway, new_key(mode="live").text)


async def test_with_the_id_of_one_key_and_the_secret_of_another_nothing_can_be_done(
    gateway: GatewayUnderTest,
) -> None:
    other = new_key(mode="live")
    forged = type(other)(prefix=other.prefix, id=gateway.manager.secret.id, secret=other.secret)
    await assert_nobody(gateway, forged.text)


async def test_with_a_key_of_the_sandbox_nothing_can_be_done(gateway: GatewayUnderTest) -> None:
    await assert_nobody(gateway, new_key(mode="sandbox").text)


async def test_with_a_revoked_manager_key_nothing_can_be_done(gateway: GatewayUnderTest) -> None:
    key_id, text = await gateway.made_key(ALL_SCOPES)
    assert (await gateway.call("DELETE", f"/v1/api_keys/{key_id}")).status_code == 204
    await assert_nobody(gateway, text)


async def test_with_an_expired_manager_key_nothing_can_be_done(gateway: GatewayUnderTest) -> None:
    await assert_nobody(gateway, await gateway.key(ALL_SCOPES, expires_at=NOON))


async def test_a_key_without_scopes_may_ask_who_it_is_and_nothing_else(
    gateway: GatewayUnderTest,
) -> None:
    key_id, text = await gateway.made_key()
    for operation in OPERATIONS:
        answer = await ask(gateway, operation, text)
        if operation.id == "show_caller":
            assert_let_in(gateway, operation, answer, key_id)
        else:
            assert answer.status_code == 403, operation.id
            assert_kept_out(gateway, answer, "scope_missing")
            assert operation.scope
            assert operation.scope in answer.json()["detail"]


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_with_one_scope_may_do_what_needs_it_and_nothing_else(
    gateway: GatewayUnderTest, scope: str
) -> None:
    key_id, text = await gateway.made_key(scope, expires_at=NOON + timedelta(days=1))
    for operation in OPERATIONS:
        answer = await ask(gateway, operation, text)
        if operation.scope in (None, scope):
            assert_let_in(gateway, operation, answer, key_id)
        else:
            assert answer.status_code == 403, operation.id
            assert_kept_out(gateway, answer, "scope_missing")


async def test_a_key_with_all_scopes_but_the_one_needed_is_kept_out(
    gateway: GatewayUnderTest,
) -> None:
    keys = {scope: await gateway.key(*(set(SCOPES) - {scope})) for scope in SCOPES}
    for operation in OPERATIONS:
        if operation.scope is not None:
            answer = await ask(gateway, operation, keys[operation.scope])
            assert answer.status_code == 403, operation.id
            assert_kept_out(gateway, answer, "scope_missing")


async def test_a_manager_may_do_everything(gateway: GatewayUnderTest) -> None:
    for operation in OPERATIONS:
        answer = await ask(gateway, operation, gateway.manager.secret.text)
        assert_let_in(gateway, operation, answer, gateway.manager.secret.id)
