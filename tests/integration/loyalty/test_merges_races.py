"""Merges that meet orders, refunds, redemptions, enrolments and one another."""

import json
from typing import Any

import pytest

from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_world import upload
from tests.integration.loyalty.members_world import (
    NOTHING,
    bought,
    erase,
    known_as,
    merge,
    merged,
    owner,
    parted,
    reserve,
    totals,
)
from tests.integration.loyalty.people import (
    enrol,
    order_of,
    points_of,
    redeem,
    refund,
    spendable,
)
from tests.integration.loyalty.racing import ACCOUNTS, order_lock, race, replicas_of
from tests.support.service import ServiceUnderTest, Starter

PHONE = {"kind": "phone", "value": "13800138000"}
MEMBERS = "select * from members for update"


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_of_two_opposite_merges_one_wins_and_the_other_is_told(
    loyalty: ServiceUnderTest,
) -> None:
    one, other = await spendable(loyalty, points=100), await spendable(loyalty, points=30)
    before = await totals(loyalty)
    replies = await race(
        loyalty, merged(loyalty, one, other), merged(loyalty, other, one), at=ACCOUNTS, meeting=2
    )
    assert sorted(reply.status_code for reply in replies) == [201, 409]
    (lost,) = [reply.json() for reply in replies if reply.status_code == 409]
    assert lost["code"] == "member_merged"
    assert await totals(loyalty) == before
    assert await loyalty.scalar("select count(*) from members where state = 'merged'") == 1
    await audit(loyalty)


async def test_points_are_neither_lost_nor_spent_twice_when_a_merge_meets_the_life_of_both(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    _, other = await replicas_of(loyalty, start, count=2)
    source, target = await spendable(loyalty, points=300), await spendable(loyalty, points=200)
    order_id = await bought(loyalty, source, points=50)
    body = {"refund_id": "RF-R1", "amount_fen": 2_000, "refunded_at": "2026-11-24T12:00:00+08:00"}
    done = {"completed_at": "2026-12-07T04:00:00Z"}
    late = await bought(loyalty, source, points=40)
    calls = [
        merged(loyalty, target, source),
        redeem(loyalty, source, points=300),
        redeem(other, target, points=200),
        loyalty.call("refund_order", order_id=order_id, json=body),
        loyalty.call("complete_order", order_id=late, json=done),
        loyalty.call("record_order", json=order_of(target, paid_fen=1_000)),
    ]
    merge_reply, from_source, from_target, refunded, completed, placed = await race(
        loyalty, *calls, at=ACCOUNTS, meeting=6
    )
    assert merge_reply.status_code == 201
    assert from_source.status_code in (201, 409)
    assert [one.status_code for one in (from_target, refunded, completed, placed)] == [
        201, 201, 200, 201,
    ]  # fmt: skip
    spent = 200 + (300 if from_source.status_code == 201 else 0)
    assert await totals(loyalty) == 500 - spent + 30 + 40 + 10
    assert await points_of(loyalty, source) == NOTHING
    assert await owner(loyalty, "orders", "order_id", order_id) == target
    assert await owner(loyalty, "refunds", "refund_id", "RF-R1") == target
    lot = await loyalty.scalar(
        "select available_at is not null from point_lots where cause_id = :id and moved_by is null",
        id=late,
    )
    assert lot, "the completion reached the lot where it lives"
    await audit(loyalty)


async def test_a_refund_that_waits_while_its_order_is_merged_finds_it(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    order_id = await bought(loyalty, source, points=200)
    replies = await race(
        loyalty,
        merge(loyalty, target, source),
        refund(loyalty, order_id, amount_fen=20_000),
        at=ACCOUNTS,
        meeting=2,
    )
    assert len(replies) == 2
    assert await points_of(loyalty, target) == NOTHING
    assert await points_of(loyalty, source) == NOTHING
    await audit(loyalty)


async def test_a_refund_that_meets_a_reversal_counts_once_with_whoever_has_the_order(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    order_id = await bought(loyalty, source, points=200)
    made = await merge(loyalty, target, source)
    body = {"refund_id": "RF-R2", "amount_fen": 5_000, "refunded_at": "2026-11-24T12:00:00+08:00"}
    replies = await race(
        loyalty,
        parted(loyalty, made["id"]),
        loyalty.call("refund_order", order_id=order_id, json=body),
        at=order_lock(order_id),
        meeting=2,
    )
    assert [reply.status_code for reply in replies] == [200, 201]
    assert await points_of(loyalty, source) == {**NOTHING, "pending": 150}
    assert await points_of(loyalty, target) == NOTHING
    assert await owner(loyalty, "refunds", "refund_id", "RF-R2") == source
    await audit(loyalty)


async def test_of_many_reversals_at_once_one_counts(loyalty: ServiceUnderTest) -> None:
    source, target = await spendable(loyalty, points=300), await enrol(loyalty)
    made = await merge(loyalty, target, source)
    calls = [parted(loyalty, made["id"]) for _ in range(4)]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=2)
    assert sorted(reply.status_code for reply in replies) == [200, 409, 409, 409]
    assert (await points_of(loyalty, source))["available"] == 300
    await audit(loyalty)


async def test_a_release_that_waits_while_its_checkout_is_merged_gives_back_to_the_target(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await spendable(loyalty, points=1_000), await enrol(loyalty)
    reservation = await reserve(loyalty, source, points=600)
    released: Any
    _, released = await race(
        loyalty,
        merge(loyalty, target, source),
        loyalty.call("release_reservation", reservation_id=reservation),
        at=ACCOUNTS,
        meeting=2,
    )
    assert released.status_code == 204
    assert await points_of(loyalty, target) == {**NOTHING, "available": 1_000}
    assert await points_of(loyalty, source) == NOTHING
    await audit(loyalty)


async def test_history_imported_during_a_merge_is_the_targets(loyalty: ServiceUnderTest) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    line = {
        "order_id": "OLD-1", "member_id": source, "paid_fen": 9_900,
        "paid_at": "2025-11-11T12:00:00+08:00",
    }  # fmt: skip
    await race(
        loyalty,
        merge(loyalty, target, source),
        upload(loyalty, json.dumps(line).encode() + b"\n"),
        at=MEMBERS,
        meeting=2,
    )
    assert await owner(loyalty, "orders", "order_id", "OLD-1") == target


async def test_an_identity_gained_during_a_merge_is_the_targets(loyalty: ServiceUnderTest) -> None:
    source, target = await known_as(loyalty, PHONE), await enrol(loyalty)
    gained = {"kind": "wechat_unionid", "value": "union-0001"}
    await race(
        loyalty,
        merge(loyalty, target, source),
        loyalty.call("enrol_member", json={"identities": [PHONE, gained]}),
        at=MEMBERS,
        meeting=2,
    )
    owners = await loyalty.rows("select distinct member_id from identities")
    assert [row.member_id for row in owners] == [target]


async def test_an_erasure_that_meets_a_merge_leaves_nobody_half_erased(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await spendable(loyalty, points=300), await spendable(loyalty, points=200)
    merge_reply, erase_reply = await race(
        loyalty, merged(loyalty, target, source), erase(loyalty, target), at=ACCOUNTS, meeting=2
    )
    assert erase_reply.status_code == 202
    states = {row.id: row.state for row in await loyalty.rows("select id, state from members")}
    if merge_reply.status_code == 201:
        assert states == {source: "erased", target: "erased"}
        assert await totals(loyalty) == 0
    else:
        assert merge_reply.json()["code"] == "member_not_found"
        assert states == {source: "active", target: "erased"}
        assert await totals(loyalty) == 300
    await audit(loyalty)
