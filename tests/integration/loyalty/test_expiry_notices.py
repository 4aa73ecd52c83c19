"""Notices of expiry: made once, listed, their delivery or failure recorded once."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.integration.loyalty.lots_world import (
    ANNOUNCE,
    DAY,
    EXPIRE,
    announced,
    lots_of,
    notices,
    publish,
    run,
    with_points,
)
from tests.integration.loyalty.people import everything, redeem, types_of_events
from tests.support.service import ServiceUnderTest, Starter

DELIVERY = {"channel": "wechat", "delivered_at": "2027-11-02T09:00:00+08:00", "receipt": "m-1"}


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def confirm(
    loyalty: ServiceUnderTest, notice: dict[str, Any], **changes: Any
) -> httpx.Response:
    return await loyalty.call(
        "confirm_notice_delivery", notice_id=notice["id"], json={**DELIVERY, **changes}
    )


async def fail(loyalty: ServiceUnderTest, notice: dict[str, Any], **changes: Any) -> httpx.Response:
    given = {"channel": "wechat", "reason": "user_refused", **changes}
    return await loyalty.call("report_notice_failure", notice_id=notice["id"], json=given)


async def everything_of_notices(loyalty: ServiceUnderTest) -> list[Any]:
    tables = ("expiry_notices", "expiry_notice_lots", "expiry_notice_failures")
    return [
        *await everything(loyalty),
        *[await loyalty.rows(f"select to_json(t)::text from {table} t") for table in tables],
    ]


async def test_a_notice_is_made_once_30_days_before(loyalty: ServiceUnderTest) -> None:
    member_id = await with_points(loyalty, points=100)
    loyalty.clock.at = DAY - timedelta(days=30, microseconds=1)
    assert await run(loyalty, ANNOUNCE) == 0
    notice = await announced(loyalty)
    assert await run(loyalty, ANNOUNCE) == 0

    [lot] = await lots_of(loyalty, member_id)
    assert notice == {
        "id": notice["id"],
        "member_id": member_id,
        "state": "announced",
        "points": 100,
        "expires_at": "2027-11-30T16:00:00Z",
        "deliver_by": "2027-11-16T16:00:00Z",
        "announced_at": "2027-10-31T16:00:00Z",
        "lots": [{"id": lot["id"], "points": 100}],
        "delivery": None,
        "failures": [],
    }
    assert (await types_of_events(loyalty))[-1] == "points.expiring.v1"
    event = await loyalty.scalar("select data from outbox where type = 'points.expiring.v1'")
    assert event == {
        "notice_id": notice["id"],
        "member_id": member_id,
        "points": 100,
        "expires_at": "2027-11-30T16:00:00Z",
        "deliver_by": "2027-11-16T16:00:00Z",
    }


async def test_when_to_announce_is_the_programmes(loyalty: ServiceUnderTest) -> None:
    await with_points(loyalty, points=100)
    await publish(loyalty, policy="rolling", months=12, notice_days=60, least_notice_days=45)
    notice = await announced(loyalty, at=DAY - timedelta(days=60))
    assert notice["deliver_by"] == "2027-10-16T16:00:00Z"


async def test_a_notice_that_could_not_be_delivered_in_time_is_not_made(
    loyalty: ServiceUnderTest,
) -> None:
    await with_points(loyalty, points=100)
    loyalty.clock.at = DAY - timedelta(days=14) + timedelta(microseconds=1)
    assert await run(loyalty, ANNOUNCE) == 0
    loyalty.clock.at = DAY - timedelta(days=14)
    assert await run(loyalty, ANNOUNCE) == 1


async def test_who_has_nothing_left_gets_no_notice(loyalty: ServiceUnderTest) -> None:
    member_id = await with_points(loyalty, points=100)
    await redeem(loyalty, member_id, points=100)
    loyalty.clock.at = DAY - timedelta(days=30)
    assert await run(loyalty, ANNOUNCE) == 0


async def test_a_delivery_counts_once_and_the_same_again_gets_the_same_reply(
    loyalty: ServiceUnderTest,
) -> None:
    await with_points(loyalty, points=100)
    notice = await announced(loyalty)
    loyalty.clock.at += timedelta(days=5)
    first = await confirm(loyalty, notice)
    assert first.status_code == 200
    assert first.json() == {
        "notice_id": notice["id"],
        "channel": "wechat",
        "delivered_at": "2027-11-02T01:00:00Z",
        "receipt": "m-1",
        "in_time": True,
    }
    before = await everything_of_notices(loyalty)
    again = await confirm(loyalty, notice)
    assert (again.status_code, again.json()) == (200, first.json())
    for changed in (
        {"channel": "sms"},
        {"delivered_at": "2027-11-02T09:00:01+08:00"},
        {"receipt": None},
    ):
        other = await confirm(loyalty, notice, **changed)
        assert (other.status_code, other.json()["code"]) == (409, "already_recorded_differently")
    assert await everything_of_notices(loyalty) == before
    [shown] = await notices(loyalty, state="delivered")
    assert shown["delivery"] == first.json()


async def test_a_channel_may_fail_and_another_deliver(loyalty: ServiceUnderTest) -> None:
    await with_points(loyalty, points=100)
    notice = await announced(loyalty)
    loyalty.clock.at += timedelta(days=5)
    first = await fail(loyalty, notice)
    assert (first.status_code, first.json()["reason"]) == (200, "user_refused")
    assert [one["id"] for one in await notices(loyalty, state="failed")] == [notice["id"]]
    loyalty.clock.at += timedelta(hours=1)
    assert (await fail(loyalty, notice)).json() == first.json()
    other = await fail(loyalty, notice, reason="quota_used_up")
    assert (other.status_code, other.json()["code"]) == (409, "already_recorded_differently")

    assert (await confirm(loyalty, notice, channel="sms")).status_code == 200
    assert (await fail(loyalty, notice, channel="email", reason="bounced")).status_code == 200
    [shown] = await notices(loyalty)
    assert shown["state"] == "delivered"
    assert [one["channel"] for one in shown["failures"]] == ["wechat", "email"]


async def test_an_undelivered_notice_is_closed_on_its_day_and_may_still_be_confirmed(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    notice = await announced(loyalty)
    loyalty.clock.at = DAY
    await run(loyalty, EXPIRE)
    assert [one["id"] for one in await notices(loyalty, state="closed")] == [notice["id"]]
    assert (await confirm(loyalty, notice)).json()["in_time"] is True
    await run(loyalty, EXPIRE)
    [lot] = await lots_of(loyalty, member_id)
    assert (lot["remaining"], lot["expires_at"]) == (100, "2027-12-31T16:00:00Z")


async def test_a_notice_whose_points_were_all_spent_is_closed_as_well(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    await announced(loyalty)
    await redeem(loyalty, member_id, points=100)
    loyalty.clock.at = DAY
    assert await run(loyalty, EXPIRE) == 1
    assert len(await notices(loyalty, state="closed")) == 1


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"delivered_at": "2027-11-01T00:05:01+08:00"}, "/delivered_at"),
        ({"delivered_at": "2027-10-31T23:54:59+08:00"}, "/delivered_at"),
        ({"delivered_at": 5}, "/delivered_at"),
        ({"channel": ""}, "/channel"),
        ({"channel": "x" * 101}, "/channel"),
        ({"receipt": "a\nb"}, "/receipt"),
        ({"other": 1}, "/other"),
    ],
)
async def test_an_impossible_delivery_is_refused(
    loyalty: ServiceUnderTest, given: dict[str, Any], pointer: str
) -> None:
    await with_points(loyalty, points=100)
    notice = await announced(loyalty)
    before = await everything_of_notices(loyalty)
    reply = await confirm(loyalty, notice, **given)
    assert reply.status_code == 422, reply.text
    assert [error["pointer"] for error in reply.json()["errors"]] == [pointer]
    assert await everything_of_notices(loyalty) == before


async def test_an_unknown_notice_is_not_found(loyalty: ServiceUnderTest) -> None:
    unknown = {"id": "exn_00000000000000000000000000"}
    assert (await confirm(loyalty, unknown)).status_code == 404
    assert (await fail(loyalty, unknown)).status_code == 404
    assert (await confirm(loyalty, {"id": "exn_1"})).status_code == 404


async def test_the_list_goes_page_by_page_and_by_member(loyalty: ServiceUnderTest) -> None:
    members = [await with_points(loyalty, points=100) for _ in range(3)]
    loyalty.clock.at = DAY - timedelta(days=30)
    assert await run(loyalty, ANNOUNCE) == 3
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        reply = await loyalty.call("list_expiry_notices", params={"limit": 2, **cursor})
        body = reply.json()
        seen += [one["member_id"] for one in body["data"]]
        if body["next_cursor"] is None:
            break
        cursor = {"cursor": body["next_cursor"]}
    assert sorted(seen) == sorted(members)
    assert [one["member_id"] for one in await notices(loyalty, member_id=members[1])] == [
        members[1]
    ]


async def test_the_job_comes_by_to_close_a_notice_that_failed_and_whose_points_are_spent(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    await fail(loyalty, await announced(loyalty))
    await redeem(loyalty, member_id, points=100)
    assert EXPIRE.next_due is not None
    async with loyalty.database.reading() as session:
        assert await EXPIRE.next_due(session, loyalty.clock.now()) == DAY


async def test_the_job_that_announces_comes_by_at_the_very_moment_of_the_next_notice(
    loyalty: ServiceUnderTest,
) -> None:
    await with_points(loyalty, points=100)
    due = ANNOUNCE.next_due
    assert due is not None
    async with loyalty.database.reading() as session:
        assert await due(session, loyalty.clock.now()) == DAY - timedelta(days=30)
        assert await due(session, DAY - timedelta(days=30)) is None
