"""Making, listing and revoking API keys."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from gateway.domain.api_keys import ALL_SCOPES, new_key, read_key
from gateway.policy import SCOPES
from shared.kernel.paging import encode_cursor
from shared.sql import execute
from tests.integration.gateway.rig import GatewayStarter, GatewayUnderTest
from tests.support.service import NOON
from tests.support.waiting import until

STOREFRONT = {"name": "storefront", "scopes": ["members:write", "orders:write"]}


async def make(gateway: GatewayUnderTest, *, key: str = "manager", **body: Any) -> httpx.Response:
    return await gateway.call("POST", "/v1/api_keys", key=key, json={**STOREFRONT, **body})


async def rows(gateway: GatewayUnderTest, statement: str) -> list[Any]:
    async with gateway.database.reading() as session:
        return list(await execute(session, text(statement)))


async def test_a_new_key_is_shown_once_and_works_at_once(gateway: GatewayUnderTest) -> None:
    answer = await make(gateway)
    assert answer.status_code == 201
    made = answer.json()
    assert made["scopes"] == ["members:write", "orders:write"]
    assert (made["manager"], made["state"], made["last_used_at"]) == (False, "active", None)
    assert made["created_by"] == f"api_key:{gateway.manager.secret.id}"
    caller = (await gateway.call("GET", "/v1/caller", key=made["key"])).json()
    assert (caller["key_id"], caller["name"]) == (made["id"], "storefront")
    assert caller["scopes"] == ["members:write", "orders:write"]
    listed = await gateway.call("GET", "/v1/api_keys")
    assert made["key"].split("_")[-1] not in listed.text
    assert made["id"] in listed.text


async def test_no_key_and_no_secret_is_anywhere_in_the_database(gateway: GatewayUnderTest) -> None:
    answer = await gateway.call(
        "POST", "/v1/api_keys", json=STOREFRONT, headers={"Idempotency-Key": "secret-search"}
    )
    secret = read_key(answer.json()["key"], mode="live")
    assert secret is not None
    tables = await rows(gateway, "select tablename from pg_tables where schemaname = 'public'")
    for (table,) in tables:
        for row in await rows(gateway, f'select t::text from "{table}" t'):
            assert secret.secret not in row[0]
    (kept,) = await rows(
        gateway,
        "select convert_from(body, 'UTF8') from idempotency_keys where key = 'secret-search'",
    )
    assert secret.secret not in kept[0]


async def test_a_repetition_gets_the_same_key_but_not_its_text(gateway: GatewayUnderTest) -> None:
    headers = {"Idempotency-Key": "make-storefront"}
    first = await gateway.call("POST", "/v1/api_keys", json=STOREFRONT, headers=headers)
    again = await gateway.call("POST", "/v1/api_keys", json=STOREFRONT, headers=headers)
    assert again.status_code == 201
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == {**first.json(), "key": None}


async def test_a_key_cannot_give_scopes_that_it_does_not_have(gateway: GatewayUnderTest) -> None:
    clerk = await gateway.key("access:manage", "members:write")
    before = await rows(gateway, "select id from api_keys")
    for scopes in (["members:write", "orders:write"], [ALL_SCOPES], list(SCOPES)):
        answer = await make(gateway, key=clerk, scopes=scopes)
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_not_yours")
    assert await rows(gateway, "select id from api_keys") == before
    assert (await make(gateway, key=clerk, scopes=["members:write"])).status_code == 201


async def test_a_manager_makes_another_manager(gateway: GatewayUnderTest) -> None:
    made = (await make(gateway, scopes=[ALL_SCOPES, "members:read"])).json()
    assert made["manager"] is True
    assert set(made["scopes"]) == set(SCOPES)
    assert (await make(gateway, key=made["key"], scopes=[ALL_SCOPES])).status_code == 201


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "a\x00b"}, "/name"),
        ({"name": 7}, "/name"),
        ({"scopes": ["points:mint"]}, "/scopes/0"),
        ({"scopes": "members:read"}, "/scopes"),
        ({"scopes": ["members:read"] * 50}, "/scopes"),
        ({"expires_at": "yesterday"}, "/expires_at"),
        ({"expires_at": "2027-01-01T00:00:00"}, "/expires_at"),
        ({"expires_at": NOON.isoformat()}, "/expires_at"),
        ({"owner": "me"}, "/owner"),
    ],
)
async def test_what_no_key_can_be_is_422_and_says_where(
    gateway: GatewayUnderTest, body: dict[str, Any], pointer: str
) -> None:
    answer = await make(gateway, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"name": NaN}', b"\xff\xfe"])
async def test_what_is_no_json_object_is_a_problem_and_never_a_fault(
    gateway: GatewayUnderTest, body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await gateway.call("POST", "/v1/api_keys", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_revoked_key_stops_at_once_and_revoking_it_again_changes_nothing(
    gateway: GatewayUnderTest,
) -> None:
    made = (await make(gateway)).json()
    path = f"/v1/api_keys/{made['id']}"
    assert (await gateway.call("GET", "/v1/caller", key=made["key"])).status_code == 200
    assert (await gateway.call("DELETE", path)).status_code == 204
    assert (await gateway.call("GET", "/v1/caller", key=made["key"])).status_code == 401
    gateway.clock.advance(timedelta(hours=1))
    assert (await gateway.call("DELETE", path)).status_code == 204
    listed = (await gateway.call("GET", "/v1/api_keys")).json()["data"]
    (shown,) = [one for one in listed if one["id"] == made["id"]]
    assert shown["state"] == "revoked"
    assert shown["revoked_at"] == shown["created_at"], "the first revocation counts"


async def test_a_revocation_reaches_another_process_within_five_seconds(
    start_gateway: GatewayStarter,
) -> None:
    first = await start_gateway()
    twin = await start_gateway.on(first.environment, services=first.services)
    made = (await make(first)).json()
    assert (await twin.call("GET", "/v1/caller", key=made["key"])).status_code == 200
    assert (await first.call("DELETE", f"/v1/api_keys/{made['id']}")).status_code == 204

    async def refused() -> bool:
        return (await twin.call("GET", "/v1/caller", key=made["key"])).status_code == 401

    await until(refused, what="the other process to hear of the revocation", within_s=7)


@pytest.mark.parametrize("key_id", ["00000000", "nothere1", "x", "UPPER123", "' or 1=1"])
async def test_a_key_that_does_not_exist_cannot_be_revoked(
    gateway: GatewayUnderTest, key_id: str
) -> None:
    answer = await gateway.call("DELETE", f"/v1/api_keys/{key_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_key_cannot_revoke_one_that_may_do_more(gateway: GatewayUnderTest) -> None:
    clerk = await gateway.key("access:manage")
    more_id, more = await gateway.made_key("access:manage", "members:read")
    for target in (more_id, gateway.manager.secret.id):
        answer = await gateway.call("DELETE", f"/v1/api_keys/{target}", key=clerk)
        assert (answer.status_code, answer.json()["code"]) == (403, "key_beyond_yours")
    assert (await gateway.call("GET", "/v1/caller", key=more)).status_code == 200


async def test_the_last_active_manager_key_cannot_be_revoked(
    start_gateway: GatewayStarter,
) -> None:
    gateway = await start_gateway()
    await gateway.made_key(ALL_SCOPES, expires_at=NOON)  # a manager key that has expired
    own = f"/v1/api_keys/{gateway.manager.secret.id}"
    refused = await gateway.call("DELETE", own)
    assert (refused.status_code, refused.json()["code"]) == (409, "last_manager_key")
    assert (await gateway.call("GET", "/v1/caller")).status_code == 200
    await gateway.made_key(ALL_SCOPES)
    assert (await gateway.call("DELETE", own)).status_code == 204


async def test_managers_who_revoke_each_other_at_once_leave_one(
    start_gateway: GatewayStarter,
) -> None:
    gateway = await start_gateway()
    made = [await gateway.made_key(ALL_SCOPES) for _ in range(5)]
    keys = [(gateway.manager.secret.id, gateway.manager.secret.text), *made]
    await asyncio.gather(
        *(
            gateway.call("DELETE", f"/v1/api_keys/{target}", key=text)
            for target, _ in keys
            for _, text in keys
        )
    )
    left = await rows(gateway, "select id from api_keys where revoked_at is null")
    assert len(left) == 1


async def test_keys_are_listed_newest_first_page_by_page(start_gateway: GatewayStarter) -> None:
    gateway = await start_gateway()
    made = [gateway.manager.secret.id]
    for number in range(4):
        gateway.clock.advance(timedelta(seconds=number % 2))  # two of them in the same moment
        made.append((await make(gateway)).json()["id"])
    shown: list[str] = []
    cursor = None
    while True:
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await gateway.call("GET", "/v1/api_keys", params=params)).json()
        assert len(page["data"]) <= 2
        shown += [one["id"] for one in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(shown) == sorted(made)
    times = {row[0]: row[1] for row in await rows(gateway, "select id, created_at from api_keys")}
    assert [times[one] for one in shown] == sorted(times.values(), reverse=True)


@pytest.mark.parametrize(
    "cursor",
    [
        "x", "WyJ4IiwieSJd", "WzFd", "%00",
        encode_cursor("0001-01-01T00:00:00+14:00", "x"),
        encode_cursor("9999-12-31T23:59:59-14:00", "x"),
    ],
)  # fmt: skip
async def test_a_cursor_that_is_not_ours_is_refused(gateway: GatewayUnderTest, cursor: str) -> None:
    answer = await gateway.call("GET", f"/v1/api_keys?cursor={cursor}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


async def test_the_use_of_a_key_is_noted_at_most_once_a_minute(gateway: GatewayUnderTest) -> None:
    key_id, text_ = await gateway.made_key()

    async def noted() -> Any:
        found = await rows(gateway, f"select last_used_at from api_keys where id = '{key_id}'")
        return found[0][0]

    async def is_noted_now() -> bool:
        return bool(await noted() == gateway.clock.now())

    await gateway.call("GET", "/v1/caller", key=text_)
    await until(is_noted_now, what="the first use to be noted")
    first = await noted()
    gateway.clock.advance(timedelta(seconds=59))
    await gateway.call("GET", "/v1/caller", key=text_)
    assert await noted() == first
    gateway.clock.advance(timedelta(seconds=1))
    await gateway.call("GET", "/v1/caller", key=text_)
    await until(is_noted_now, what="the use a minute later to be noted")


async def test_a_key_ends_when_it_expires_though_it_is_remembered(
    gateway: GatewayUnderTest,
) -> None:
    key = await gateway.key(expires_at=gateway.clock.now() + timedelta(seconds=2))
    assert (await gateway.call("GET", "/v1/caller", key=key)).status_code == 200
    gateway.clock.advance(timedelta(seconds=2))
    assert (await gateway.call("GET", "/v1/caller", key=key)).status_code == 401


async def test_a_flood_of_unknown_keys_is_refused_without_harm(gateway: GatewayUnderTest) -> None:
    answers = await asyncio.gather(
        *(gateway.call("GET", "/v1/caller", key=new_key(mode="live").text) for _ in range(100))
    )
    assert {answer.status_code for answer in answers} == {401}
    assert (await gateway.call("GET", "/v1/caller")).status_code == 200
