"""Orders through the service's door."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    order_of,
    place,
    points_of,
    refund,
    types_of_events,
)
from tests.integration.loyalty.racing import order_lock, race, replicas_of
from tests.support.service import ServiceUnderTest, Starter


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_a_paid_order_earns_points_growth_and_says_so(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    body = order_of(
        member_id,
        paid_fen=25_990,
        discount_fen=2000,
        channel="mini_program",
        device_id="device-1",
        payer_id="payer-1",
    )

    reply = await loyalty.call("record_order", json=body)

    assert reply.status_code == 201
    assert reply.json() == {
        "order_id": body["order_id"],
        "member_id": member_id,
        "state": "paid",
        "paid_fen": 25_990,
        "discount_fen": 2000,
        "refunded_fen": 0,
        "points": {
            "earned": 259,
            "clawed_back": 0,
            "status": "pending",
            "available_at": None,
            "expires_at": None,
        },
        "growth": 259,
        "tier": {"code": "regular", "name": "普通会员"},
        "paid_at": "2026-11-23T04:00:00Z",
        "completed_at": None,
        "cancelled_at": None,
        "recorded_at": "2026-11-23T04:00:00Z",
    }
    shown = await loyalty.call("show_order", order_id=body["order_id"])
    line = {"sku": "SERUM-30ML", "category": None, "quantity": 1, "paid_fen": 25_990}
    assert shown.json() == {**reply.json(), "items": [{**line, "refunded_quantity": 0}]}
    events = await loyalty.rows("select type, subject, data::text as data from outbox order by id")
    assert [(e.type, e.subject) for e in events[1:]] == [
        ("order.paid.v1", member_id),
        ("points.earned.v1", member_id),
    ]
    paid = json.loads(events[1].data)
    assert (paid["paid_fen"], paid["device_id"], paid["channel"]) == (
        25_990, "device-1", "mini_program",
    )  # fmt: skip
    assert paid["payer_hash"] == loyalty.app.state.vault.hash_payer("payer-1")
    assert paid["payer_hash"] != "payer-1"
    await audit(loyalty)


async def test_an_order_counts_once_whatever_the_key(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    body = order_of(member_id, paid_fen=120_000)
    first = await loyalty.call("record_order", json=body)
    await complete(loyalty, body["order_id"])
    await refund(loyalty, body["order_id"], amount_fen=100)
    before = await everything(loyalty)

    again = await loyalty.call("record_order", json=body)

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.json()["tier"]["code"] == "silver"
    assert await everything(loyalty) == before


async def test_the_same_order_in_another_spelling_of_its_moment_is_the_same(
    loyalty: ServiceUnderTest,
) -> None:
    body = order_of(await enrol(loyalty), paid_fen=100)
    await loyalty.call("record_order", json=body)
    again = await loyalty.call("record_order", json={**body, "paid_at": "2026-11-23T04:00:00Z"})
    assert again.status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"paid_fen": 101},
        {"discount_fen": 1},
        {"paid_at": "2026-11-23T12:00:01+08:00"},
        {"channel": "app"},
        {"payer_id": "somebody"},
        {"items": [{"sku": "OTHER", "quantity": 1, "paid_fen": 100}]},
    ],
)
async def test_other_facts_under_the_same_order_id_are_refused(
    loyalty: ServiceUnderTest, change: dict[str, Any]
) -> None:
    body = order_of(await enrol(loyalty), paid_fen=100)
    await loyalty.call("record_order", json=body)
    before = await everything(loyalty)

    reply = await loyalty.call("record_order", json={**body, **change})

    assert (reply.status_code, reply.json()["code"]) == (409, "already_recorded_differently")
    assert body["order_id"] in reply.json()["detail"]
    assert await everything(loyalty) == before


async def test_the_same_order_50_times_at_once_counts_once(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    replicas = await replicas_of(loyalty, start, count=4)
    member_id = await enrol(loyalty)
    body = order_of(member_id, paid_fen=10_000)

    calls = [replicas[n % 4].call("record_order", json=body) for n in range(50)]
    replies = await race(loyalty, *calls, at=order_lock(body["order_id"]), meeting=4)

    assert sorted(reply.status_code for reply in replies) == [200] * 49 + [201]
    assert len({reply.content for reply in replies}) == 1
    assert (await points_of(loyalty, member_id))["pending"] == 100
    assert (await types_of_events(loyalty)).count("order.paid.v1") == 1


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"member_id": "mem_" + "0" * 26}, 404, "member_not_found"),
        ({"reservation_id": "rsv_1"}, 409, "reservation_unknown"),
    ],
)
async def test_an_order_of_nobody_or_of_no_reservation_is_refused(
    loyalty: ServiceUnderTest, fields: dict[str, str], status: int, code: str
) -> None:
    member_id = await enrol(loyalty)
    before = await everything(loyalty)
    body = {**order_of(member_id, paid_fen=100), **fields}
    reply = await loyalty.call("record_order", json=body)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert await everything(loyalty) == before


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"paid_fen": -1}, "/paid_fen"),
        ({"paid_fen": 10_000_000_001}, "/paid_fen"),
        ({"paid_fen": "100"}, "/paid_fen"),
        ({"paid_at": "2026-11-23T12:00:00"}, "/paid_at"),
        ({"paid_at": "2026-11-23"}, "/paid_at"),
        ({"order_id": "a b"}, "/order_id"),
        ({"order_id": ""}, "/order_id"),
        ({"items": [{"sku": "A", "quantity": 0, "paid_fen": 1}]}, "/items/0/quantity"),
        ({"tier": "gold"}, "/tier"),
    ],
)
async def test_an_order_that_cannot_be_is_refused_at_the_field(
    loyalty: ServiceUnderTest, change: dict[str, Any], pointer: str
) -> None:
    body = order_of("mem_" + "0" * 26, paid_fen=100)
    reply = await loyalty.call("record_order", json={**body, **change})
    assert reply.status_code == 422
    assert pointer in [error["pointer"] for error in reply.json()["errors"]]


async def test_an_order_paid_with_nothing_earns_nothing_and_still_counts(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    reply = await loyalty.call("record_order", json=order_of(member_id, paid_fen=0))
    assert reply.status_code == 201
    await complete(loyalty, reply.json()["order_id"])
    assert await audit(loyalty) == 0
    assert await types_of_events(loyalty) == [
        "member.enrolled.v1", "order.paid.v1", "order.completed.v1",
    ]  # fmt: skip


async def test_completion_says_when_points_become_available_and_when_they_lapse(
    loyalty: ServiceUnderTest,
) -> None:
    order_id = await place(loyalty, await enrol(loyalty), paid_fen=10_000)
    at = {"completed_at": "2026-11-25T18:30:00+08:00"}
    loyalty.clock.advance(timedelta(days=3))

    reply = await loyalty.call("complete_order", order_id=order_id, json=at)

    assert reply.status_code == 200
    assert reply.json()["state"] == "completed"
    assert reply.json()["points"] == {
        "earned": 100,
        "clawed_back": 0,
        "status": "pending",
        "available_at": "2026-12-02T10:30:00Z",
        "expires_at": "2027-12-31T16:00:00Z",
    }
    again = await loyalty.call("complete_order", order_id=order_id, json=at)
    assert (again.status_code, again.json()) == (200, reply.json())
    assert (await types_of_events(loyalty)).count("order.completed.v1") == 1
    other = await loyalty.call(
        "complete_order", order_id=order_id, json={"completed_at": "2026-11-24T18:30:00+08:00"}
    )
    assert (other.status_code, other.json()["code"]) == (409, "already_recorded_differently")


async def test_a_completion_reported_after_the_hold_releases_the_points_at_once(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    completed_at = "2026-11-16T12:00:00+08:00"
    order_id = await place(loyalty, member_id, paid_fen=10_000, paid_at=completed_at)
    await loyalty.call("complete_order", order_id=order_id, json={"completed_at": completed_at})
    assert await loyalty.scalar("select available from accounts") == 100
    assert (await types_of_events(loyalty))[-1] == "points.released.v1"


async def test_an_unknown_order_cannot_be_shown(loyalty: ServiceUnderTest) -> None:
    assert (await loyalty.call("show_order", order_id="SO-0")).status_code == 404


async def test_growth_of_an_order_paid_before_the_window_lifts_nobody(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    reply = await loyalty.call(
        "record_order",
        json=order_of(member_id, paid_fen=900_000, paid_at="2025-11-22T23:59:59+08:00"),
    )
    assert reply.json()["tier"]["code"] == "regular"
    assert (await points_of(loyalty, member_id))["pending"] == 9000
    loyalty.clock.advance(timedelta(days=1))
    await audit(loyalty)
