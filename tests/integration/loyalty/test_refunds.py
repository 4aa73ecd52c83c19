"""Refunds through the service's door: any split, any order, each fact any number of times."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.loyalty.jobs import JOBS
from shared.jobs import run_due
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    order_of,
    place,
    points_of,
    redeem,
    refund,
    types_of_events,
    wallet_of,
)
from tests.integration.loyalty.racing import ACCOUNTS, order_lock, race, replicas_of
from tests.support.service import ServiceUnderTest, Starter

NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}


APPLY_WAITING = next(job for job in JOBS if job.name == "apply_waiting_facts")


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_a_partial_refund_takes_back_what_its_part_earned(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=25_990)

    answer = await refund(loyalty, order_id, amount_fen=5_950, refund_id="RF-A")

    assert answer == {
        "refund_id": "RF-A",
        "order_id": order_id,
        "member_id": member_id,
        "status": "applied",
        "amount_fen": 5_950,
        "applied_fen": 5_950,
        "refunded_total_fen": 5_950,
        "points": {"clawed_back": 59, "debt": 0, "returned": 0},
        "growth": 59,
        "items_match": None,
        "refunded_at": "2026-11-24T04:00:00Z",
        "recorded_at": "2026-11-23T04:00:00Z",
    }
    assert await points_of(loyalty, member_id) == {**NOTHING, "pending": 200}
    shown = (await loyalty.call("show_order", order_id=order_id)).json()
    assert (shown["state"], shown["refunded_fen"], shown["growth"]) == ("paid", 5_950, 200)
    (event,) = await loyalty.rows(
        "select data::text as data from outbox where type = 'order.refunded.v1'"
    )
    told = json.loads(event.data)
    assert (told["amount_fen"], told["refunded_total_fen"], told["in_full"]) == (5950, 5950, False)
    await audit(loyalty)


async def test_a_full_refund_leaves_neither_points_nor_growth_nor_tier(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=600_000)
    assert (await wallet_of(loyalty, member_id))["tier"]["code"] == "gold"

    await refund(loyalty, order_id, amount_fen=600_000)

    wallet = await wallet_of(loyalty, member_id)
    assert (wallet["tier"]["code"], wallet["tier"]["growth"]) == ("regular", 0)
    assert wallet["tier"]["valid_until"] is None
    assert await points_of(loyalty, member_id) == NOTHING
    assert (await types_of_events(loyalty))[-3:] == [
        "order.refunded.v1", "points.clawed_back.v1", "tier.changed.v1",
    ]  # fmt: skip
    assert await loyalty.scalar("select state from orders") == "refunded"


async def test_points_already_spent_become_debt_that_later_points_repay(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=7))
    await redeem(loyalty, member_id, points=70)

    answer = await refund(loyalty, order_id, amount_fen=10_000)

    assert answer["points"] == {"clawed_back": 100, "debt": 70, "returned": 0}
    assert await points_of(loyalty, member_id) == {**NOTHING, "debt": 70}
    await complete(loyalty, await place(loyalty, member_id, paid_fen=20_000))
    loyalty.clock.advance(timedelta(days=7))
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 130}
    assert (await redeem(loyalty, member_id, points=130)).status_code == 201
    await audit(loyalty)


async def test_a_full_refund_before_the_order_leaves_no_points(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    answer = await refund(loyalty, "SO-EARLY", amount_fen=25_900, refund_id="RF-EARLY")
    assert (answer["status"], answer["points"]) == (
        "waiting", {"clawed_back": 0, "debt": 0, "returned": 0},
    )  # fmt: skip
    assert "order.refunded.v1" not in await types_of_events(loyalty)

    body = order_of(member_id, paid_fen=25_900, order_id="SO-EARLY")
    reply = await loyalty.call("record_order", json=body)

    assert reply.status_code == 201
    assert (reply.json()["state"], reply.json()["refunded_fen"]) == ("refunded", 25_900)
    assert reply.json()["points"]["clawed_back"] == 259
    assert (await loyalty.call("record_order", json=body)).json() == reply.json()
    assert await points_of(loyalty, member_id) == NOTHING
    assert (await wallet_of(loyalty, member_id))["tier"]["growth"] == 0
    assert (await types_of_events(loyalty))[-4:] == [
        "order.paid.v1", "points.earned.v1", "order.refunded.v1", "points.clawed_back.v1",
    ]  # fmt: skip
    again = await loyalty.call(
        "refund_order",
        order_id="SO-EARLY",
        json={
            "refund_id": "RF-EARLY", "amount_fen": 25_900,
            "refunded_at": "2026-11-24T12:00:00+08:00",
        },
    )  # fmt: skip
    assert (again.status_code, again.json()["status"]) == (200, "applied")
    assert again.json()["points"] == {"clawed_back": 259, "debt": 0, "returned": 0}
    await audit(loyalty)


async def test_early_refunds_that_exceed_the_order_are_capped_at_what_was_paid(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    for number in range(3):
        await refund(
            loyalty,
            "SO-EARLY",
            amount_fen=6_000,
            refund_id=f"RF-{number}-EARLY",
            refunded_at=f"2026-11-2{9 - number}T12:00:00+08:00",
        )
    await place(loyalty, member_id, paid_fen=10_000, order_id="SO-EARLY")

    rows = await loyalty.rows("select refund_id, applied_fen from refunds order by refunded_at")
    assert [(row.refund_id, row.applied_fen) for row in rows] == [
        ("RF-2-EARLY", 6_000), ("RF-1-EARLY", 4_000), ("RF-0-EARLY", 0),
    ]  # fmt: skip
    assert await points_of(loyalty, member_id) == NOTHING
    assert (await types_of_events(loyalty)).count("order.refunded.v1") == 2
    await audit(loyalty)


async def test_facts_in_every_order_end_in_the_same_state(start: Starter) -> None:
    loyalty = await start("loyalty")
    ends = set()
    for number, facts in enumerate(itertools.permutations(("order", "r1", "r2", "r3"))):
        member_id = await enrol(loyalty)
        order_id = f"SO-P{number}"
        for fact in facts:
            if fact == "order":
                await place(loyalty, member_id, paid_fen=131_313, order_id=order_id)
            else:
                amount = {"r1": 30_001, "r2": 999, "r3": 50}[fact]
                await refund(loyalty, order_id, amount_fen=amount, refund_id=f"{fact}-{number}")
        wallet = await wallet_of(loyalty, member_id)
        lots = await loyalty.rows(
            "select remaining from point_lots where member_id = :id", id=member_id
        )
        end = [wallet["points"], wallet["tier"], [lot.remaining for lot in lots]]
        ends.add(json.dumps(end, sort_keys=True))
    assert len(ends) == 1
    # 131313 - 31050 = 100263 fen are kept.
    assert json.loads(ends.pop())[0]["pending"] == 1002
    await audit(loyalty)


async def test_a_refund_and_its_order_at_the_same_moment_end_as_one_after_the_other(
    loyalty: ServiceUnderTest,
) -> None:
    """Where the two just miss each other, the job lets the refund count moments later."""
    member_id = await enrol(loyalty)
    for number in range(6):
        order_id = f"SO-T{number}"
        calls = [
            place(loyalty, member_id, paid_fen=10_000, order_id=order_id),
            refund(loyalty, order_id, amount_fen=10_000, refund_id=f"RF-T{number}"),
        ]
        # The refund waits for the order's id, or the order for the account it is written to.
        at = ACCOUNTS if number % 2 else order_lock(order_id)
        await race(loyalty, *calls, at=at, meeting=1)
    await run_due(APPLY_WAITING, database=loyalty.database)
    assert await points_of(loyalty, member_id) == NOTHING
    assert await loyalty.scalar("select count(*) from refunds where applied_at is null") == 0
    await audit(loyalty)


async def test_a_missed_fact_that_cannot_be_applied_holds_up_no_other(
    loyalty: ServiceUnderTest,
) -> None:
    broken, sound = [await enrol(loyalty) for _ in range(2)]
    for number, member_id in enumerate((broken, sound)):
        await place(loyalty, member_id, paid_fen=10_000, order_id=f"SO-T{number}")
        await loyalty.change(
            "insert into refunds"
            " (refund_id, order_id, amount_fen, facts_hash, refunded_at, recorded_at)"
            " values (:order_id, :order_id, 10000, '', :now, :now)",
            order_id=f"SO-T{number}",
            now=loyalty.clock.now(),
        )
    await loyalty.change("update accounts set pending = 7 where member_id = :id", id=broken)
    assert await run_due(APPLY_WAITING, database=loyalty.database) == 1
    assert await points_of(loyalty, sound) == NOTHING
    assert (
        await loyalty.scalar("select member_id from refunds where applied_at is not null") == sound
    )


async def test_a_refund_beyond_the_payment_is_refused_and_says_what_is_left(
    loyalty: ServiceUnderTest,
) -> None:
    order_id = await place(loyalty, await enrol(loyalty), paid_fen=10_000)
    await refund(loyalty, order_id, amount_fen=8_750)
    before = await everything(loyalty)

    reply = await loyalty.call(
        "refund_order",
        order_id=order_id,
        json={"refund_id": "RF-X", "amount_fen": 1_251, "refunded_at": "2026-11-24T12:00:00Z"},
    )

    assert (reply.status_code, reply.json()["code"]) == (409, "refund_exceeds_payment")
    assert "12.50" in reply.json()["detail"]
    assert "1250" in reply.json()["detail"]
    assert await everything(loyalty) == before


async def test_many_refunds_at_once_never_return_more_than_was_paid(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    replicas = await replicas_of(loyalty, start, count=4)
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)

    async def one(number: int) -> Any:
        at = "2026-11-24T12:00:00Z"
        body = {"refund_id": f"RF-M{number}", "amount_fen": 3_000, "refunded_at": at}
        return await replicas[number % 4].call("refund_order", order_id=order_id, json=body)

    calls = [one(number) for number in range(20)]
    replies = await race(loyalty, *calls, at=order_lock(order_id), meeting=4)

    assert sorted(reply.status_code for reply in replies) == [201] * 3 + [409] * 17
    assert await loyalty.scalar("select refunded_fen from orders") == 9_000
    assert await points_of(loyalty, member_id) == {**NOTHING, "pending": 10}
    await audit(loyalty)


async def test_a_refund_counts_once_whatever_the_key(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    replicas = await replicas_of(loyalty, start, count=4)
    order_id = await place(loyalty, await enrol(loyalty), paid_fen=10_000)
    body = {"refund_id": "RF-1X", "amount_fen": 500, "refunded_at": "2026-11-24T12:00:00Z"}
    calls = [replicas[n % 4].call("refund_order", order_id=order_id, json=body) for n in range(20)]
    replies = await race(loyalty, *calls, at=order_lock(order_id), meeting=4)
    assert sorted(reply.status_code for reply in replies) == [200] * 19 + [201]
    assert len({reply.content for reply in replies}) == 1
    assert await loyalty.scalar("select refunded_fen from orders") == 500


async def test_other_facts_under_the_same_refund_id_are_refused(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    other_id = await place(loyalty, member_id, paid_fen=10_000)
    await refund(loyalty, order_id, amount_fen=500, refund_id="RF-1")
    await refund(loyalty, "SO-UNKNOWN", amount_fen=500, refund_id="RF-2")
    before = await everything(loyalty)
    for order, refund_id, amount in (
        (order_id, "RF-1", 501), (other_id, "RF-1", 500), ("SO-UNKNOWN", "RF-2", 501),
    ):  # fmt: skip
        reply = await loyalty.call(
            "refund_order",
            order_id=order,
            json={
                "refund_id": refund_id, "amount_fen": amount,
                "refunded_at": "2026-11-24T12:00:00+08:00",
            },
        )  # fmt: skip
        assert (reply.status_code, reply.json()["code"]) == (409, "already_recorded_differently")
    assert await everything(loyalty) == before


async def test_one_refund_id_for_two_orders_at_once_counts_for_one(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    replicas = await replicas_of(loyalty, start, count=4)
    member_id = await enrol(loyalty)
    orders = [await place(loyalty, member_id, paid_fen=10_000) for _ in range(8)]
    body = {"refund_id": "RF-2X", "amount_fen": 10_000, "refunded_at": "2026-11-24T12:00:00Z"}
    calls = [
        replicas[n % 4].call("refund_order", order_id=one, json=body)
        for n, one in enumerate(orders)
    ]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=4)
    assert sorted(reply.status_code for reply in replies) == [201] + [409] * 7
    assert (await points_of(loyalty, member_id))["pending"] == 700
    await audit(loyalty)


async def test_a_refund_of_nothing_is_refused(loyalty: ServiceUnderTest) -> None:
    order_id = await place(loyalty, await enrol(loyalty), paid_fen=10_000)
    reply = await loyalty.call(
        "refund_order",
        order_id=order_id,
        json={"refund_id": "RF-0", "amount_fen": 0, "refunded_at": "2026-11-24T12:00:00Z"},
    )
    assert reply.status_code == 422


async def test_what_a_refund_takes_back_is_dated_as_the_refund(loyalty: ServiceUnderTest) -> None:
    order_id = await place(loyalty, await enrol(loyalty), paid_fen=10_000)
    await refund(loyalty, order_id, amount_fen=10_000)
    dated = await loyalty.scalar("select occurred_at from point_entries where kind='clawed_back'")
    assert dated == datetime(2026, 11, 24, 4, tzinfo=UTC)


async def test_growth_of_the_windows_first_moment_goes_with_its_refund(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    first = "2025-11-23T00:00:00+08:00"
    order_id = await place(loyalty, member_id, paid_fen=150_000, paid_at=first)
    assert (await wallet_of(loyalty, member_id))["tier"]["growth"] == 1_500
    await refund(loyalty, order_id, amount_fen=150_000)
    tier = (await wallet_of(loyalty, member_id))["tier"]
    assert (tier["code"], tier["growth"]) == ("regular", 0)
    await audit(loyalty)
