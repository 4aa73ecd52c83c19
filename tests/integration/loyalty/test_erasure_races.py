"""Erasures that meet whoever is just being answered: no kept reply outlives the member."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeAlias

import httpx
import pytest
from sqlalchemy import text

from shared.sql import execute
from tests.integration.loyalty.members_world import erase, known_as
from tests.integration.loyalty.test_erasure import dump
from tests.support.service import ServiceUnderTest, Starter
from tests.support.waiting import until

Call: TypeAlias = Coroutine[Any, Any, httpx.Response]

PHONE: Final = {"kind": "phone", "value": "13800138000"}
OPENID: Final = {"kind": "wechat_openid", "app_id": "wx1", "value": "oCANARY_openid_0001"}
NICKNAME: Final = "爱丽丝金丝雀"
_GATE: Final = "select pg_advisory_xact_lock(77)"
_WAIT_FOR_GATE: Final = """
    create function wait_for_gate() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock(77); return null; end $$
"""
_STOP: Final = """
    create constraint trigger gate after {after} deferrable initially {when}
    for each row execute function wait_for_gate()
"""
_AT_COMMIT: Final = "deferred"
_AT_ONCE: Final = "immediate"
_WAITING: Final = """
    select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'
"""


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def stop(loyalty: ServiceUnderTest, *, after: str, when: str) -> None:
    """Make whoever has done this to a table wait for the gate."""
    async with loyalty.database.begin(actor="test") as transaction:
        for statement in (_WAIT_FOR_GATE, _STOP.format(after=after, when=when)):
            await execute(transaction.session, text(statement))


async def meet(
    loyalty: ServiceUnderTest, first: Call, then: Call
) -> tuple[httpx.Response, httpx.Response]:
    """Begin the second call once the first stands before the gate, which opens when the second has
    ended or waits, too.
    """

    async def waiting(count: int) -> bool:
        return bool(await loyalty.scalar(_WAITING) >= count)

    async with loyalty.database.begin(actor="test") as gate:
        await execute(gate.session, text(_GATE))
        one = asyncio.ensure_future(first)
        await until(lambda: waiting(1), what="the first to stand before the gate")
        other = asyncio.ensure_future(then)

        async def met() -> bool:
            return other.done() or await waiting(2)

        await until(met, what="the second to end or to wait")
    return await asyncio.gather(one, other)


async def profile_left(loyalty: ServiceUnderTest) -> list[str]:
    """What is still on record of the one who was erased."""
    left = await dump(loyalty)
    return [one for one in (NICKNAME, "1995-05-20") if one in left]


@pytest.mark.parametrize(
    ("operation", "json"),
    [
        ("enrol_member", {"identities": [PHONE]}),
        ("enrol_member", {"identities": [PHONE, OPENID]}),
        ("update_member_profile", {"city": "杭州"}),
    ],
)
async def test_a_reply_that_shows_the_profile_does_not_outlive_an_erasure_that_meets_it(
    loyalty: ServiceUnderTest, operation: str, json: dict[str, Any]
) -> None:
    member_id = await known_as(loyalty, PHONE, nickname=NICKNAME, birthday="1995-05-20")
    ask: dict[str, Any] = {"json": json, "key": "asked-1", "member_id": member_id}
    await stop(loyalty, after="insert on member_replies", when=_AT_COMMIT)
    shown, erased = await meet(loyalty, loyalty.call(operation, **ask), erase(loyalty, member_id))
    assert (shown.status_code, shown.json()["nickname"]) == (200, NICKNAME)
    assert erased.status_code == 202
    again = await loyalty.call(operation, **ask)
    assert (again.status_code, again.json()["code"]) == (404, "member_not_found")
    assert await profile_left(loyalty) == []


@pytest.mark.parametrize(
    ("after", "when", "told"),
    [
        ("insert on erased_identities", _AT_ONCE, (503, "identity_erased")),
        ("update on members", _AT_COMMIT, (201, None)),
    ],
)
async def test_who_enrols_during_an_erasure_is_told_to_come_again_or_is_new(
    loyalty: ServiceUnderTest, after: str, when: str, told: tuple[int, str | None]
) -> None:
    member_id = await known_as(loyalty, PHONE, nickname=NICKNAME, birthday="1995-05-20")
    await stop(loyalty, after=after, when=when)
    ask: dict[str, Any] = {"json": {"identities": [PHONE]}, "key": "asked-1"}
    erased, reply = await meet(
        loyalty, erase(loyalty, member_id), loyalty.call("enrol_member", **ask)
    )
    assert erased.status_code == 202
    assert (reply.status_code, reply.json().get("code")) == told
    assert await profile_left(loyalty) == []
    again = await loyalty.call("enrol_member", **ask)
    assert again.status_code == 201
    assert again.json()["id"] != member_id


async def test_a_profile_changed_during_an_erasure_is_nobodys(loyalty: ServiceUnderTest) -> None:
    member_id = await known_as(loyalty, PHONE, nickname=NICKNAME, birthday="1995-05-20")
    await stop(loyalty, after="update on members", when=_AT_COMMIT)
    change = loyalty.call("update_member_profile", member_id=member_id, json={"city": "杭州"})
    erased, refused = await meet(loyalty, erase(loyalty, member_id), change)
    assert erased.status_code == 202
    assert (refused.status_code, refused.json()["code"]) == (404, "member_not_found")
    assert await profile_left(loyalty) == []
