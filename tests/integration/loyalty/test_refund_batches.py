"""Refunds that arrive together: one transaction for all, and each as if it had come alone."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from services.loyalty.operations.refund_batches import RefundRecordings
from services.loyalty.store.order_readings import _READ
from services.loyalty.store.readings import MemberReader
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.orders_world import voucher_of
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    place,
    points_of,
    refund,
    types_of_events,
)
from tests.integration.loyalty.ways import (
    NeverQuick,
    Way,
    go,
    left_by,
    lives,
    refund_facts,
    refunds_of,
    run_batch,
    went,
)
from tests.support.service import ServiceUnderTest, Starter

NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


def body_of(refund_id: str, amount_fen: int) -> dict[str, Any]:
    at = "2026-11-24T12:00:00+08:00"
    return {"refund_id": refund_id, "amount_fen": amount_fen, "refunded_at": at}


@pytest.mark.parametrize("seed", range(8))
async def test_every_way_tells_the_same_and_leaves_the_same_rows_and_events(
    loyalty: ServiceUnderTest, seed: int
) -> None:
    ways: dict[str, Way] = {"a": "ordinary", "b": "quick", "c": "careful", "d": "alone"}
    members = await lives(loyalty, "".join(ways), seed=seed)
    before = {way: went(way) for way in ways.values()}
    told = {
        letter: await go(loyalty, way, refunds_of(letter, seed=seed))
        for letter, way in ways.items()
    }
    left = {
        letter: await left_by(loyalty, member_id, letter) for letter, member_id in members.items()
    }
    assert [went(way) - before[way] for way in ("quick", "careful", "alone")] == [24, 24, 24]
    assert len({one[:6] for one in told["a"]}) > 2, "refunds of more than one fate"
    for letter in ways:
        assert told[letter] == told["a"], ways[letter]
        assert left[letter] == left["a"], ways[letter]
    await audit(loyalty)


@pytest.mark.parametrize(("quick", "statements"), [(True, 2), (False, 7)])
async def test_any_number_of_refunds_takes_as_few_round_trips_as_one(
    loyalty: ServiceUnderTest, quick: bool, statements: int
) -> None:
    members = [await enrol(loyalty) for _ in range(4)]
    orders = [await place(loyalty, one, paid_fen=10_000) for one in members for _ in range(4)]
    refunds = RefundRecordings(MemberReader())
    batch = refunds if quick else NeverQuick(refunds)
    # The first batch learns the programme.
    await run_batch(loyalty, batch, [refund_facts(one, 100) for one in orders[:2]])
    seen: list[str] = []
    async with loyalty.database.lanes.take() as connection:
        connection.add_query_logger(lambda record: seen.append(record.query))
    await run_batch(loyalty, batch, [refund_facts(one, 100) for one in orders for _ in range(4)])
    await asyncio.sleep(0)  # the driver tells of the last one in the next turn of the loop
    assert len(seen) == statements, seen
    assert await loyalty.scalar("select sum(refunded_fen) from orders") == 66 * 100


async def test_64_refunds_of_one_order_at_once_add_up(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=60_050)
    before = went("quick")
    replies = await asyncio.gather(
        *(
            loyalty.call("refund_order", order_id=order_id, json=body_of(f"RF-{n}", 1_000))
            for n in range(64)
        )
    )
    assert sorted(reply.status_code for reply in replies) == [201] * 60 + [409] * 4
    totals = [r.json()["refunded_total_fen"] for r in replies if r.status_code == 201]
    assert sorted(totals) == [n * 1_000 for n in range(1, 61)]
    refused = {r.json()["code"] for r in replies if r.status_code == 409}
    assert refused == {"refund_exceeds_payment"}
    assert await points_of(loyalty, member_id) == NOTHING
    assert (await types_of_events(loyalty)).count("order.refunded.v1") == 60
    assert went("quick") - before == 64
    await audit(loyalty)


async def test_64_refunds_of_many_orders_at_once_are_all_done(loyalty: ServiceUnderTest) -> None:
    members = [await enrol(loyalty) for _ in range(8)]
    orders = [await place(loyalty, one, paid_fen=10_000) for one in members for _ in range(4)]
    replies = await asyncio.gather(
        *(
            loyalty.call("refund_order", order_id=one, json=body_of(f"RF-{n}-{one}", 2_550))
            for n in range(2)
            for one in orders
        )
    )
    assert {reply.status_code for reply in replies} == {201}
    assert {row.refunded_fen for row in await loyalty.rows("select * from orders")} == {5_100}
    for member_id in members:
        assert await points_of(loyalty, member_id) == {**NOTHING, "pending": 4 * 49}
    await audit(loyalty)


async def test_in_one_batch_a_refund_counts_once_and_a_key_stands_for_one_request(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    one = await place(loyalty, member_id, paid_fen=10_000)
    other = await place(loyalty, member_id, paid_fen=10_000)

    async def call(order_id: str, refund_id: str, amount_fen: int, key: str) -> tuple[int, str]:
        reply = await loyalty.call(
            "refund_order", order_id=order_id, json=body_of(refund_id, amount_fen), key=key
        )
        return reply.status_code, reply.json().get("code", "")

    answers = await asyncio.gather(
        call(one, "RF-1", 500, "k-1"),
        call(one, "RF-1", 500, "k-1"),
        call(one, "RF-1", 500, "k-2"),
        call(one, "RF-1", 501, "k-3"),
        call(other, "RF-1", 500, "k-4"),
        call(one, "RF-2", 500, "k-1"),
        call(other, "RF-3", 700, "k-5"),
    )
    assert answers == [
        (201, ""), (201, ""), (200, ""), (409, "already_recorded_differently"),
        (409, "already_recorded_differently"), (422, "idempotency_key_reused"), (201, ""),
    ]  # fmt: skip
    rows = await loyalty.rows("select refund_id, applied_fen from refunds order by refund_id")
    assert [tuple(row) for row in rows] == [("RF-1", 500), ("RF-3", 700)]
    await audit(loyalty)


async def test_a_refusal_harms_no_neighbour_and_is_kept_under_its_key(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    small = await place(loyalty, member_id, paid_fen=100)
    orders = [await place(loyalty, member_id, paid_fen=10_000) for _ in range(5)]
    before = went("quick")
    refused, unknown, *served = await asyncio.gather(
        loyalty.call("refund_order", order_id=small, json=body_of("RF-X", 101), key="k-1"),
        loyalty.call("refund_order", order_id="SO-NONE", json=body_of("RF-Y", 101)),
        *(
            loyalty.call("refund_order", order_id=one, json=body_of(f"RF-{one}", 101))
            for one in orders
        ),
    )
    assert {reply.status_code for reply in served} == {201}
    assert (unknown.status_code, unknown.json()["status"]) == (201, "waiting")
    assert (refused.status_code, refused.json()["code"]) == (409, "refund_exceeds_payment")
    assert went("quick") - before == 6
    kept = await everything(loyalty)
    again = await loyalty.call("refund_order", order_id=small, json=body_of("RF-X", 101), key="k-1")
    assert (again.content, again.headers["idempotency-replayed"]) == (refused.content, "true")
    assert await everything(loyalty) == kept


async def test_a_voucher_used_on_an_order_without_a_reservation_comes_back(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=20_000)
    voucher_id = await voucher_of(loyalty, member_id)
    used = {"order_id": order_id, "order_fen": 25_000}
    redeemed = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=used)
    assert redeemed.status_code == 201
    await refund(loyalty, order_id, amount_fen=19_999)
    assert await loyalty.scalar("select state from vouchers") == "redeemed"
    await refund(loyalty, order_id, amount_fen=1)
    assert await loyalty.scalar("select state from vouchers") == "issued"
    assert "voucher.restored.v1" in await types_of_events(loyalty)


async def test_refunds_of_an_order_cancelled_before_take_nothing_more(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=8))
    called_off = {"cancelled_at": "2026-11-24T12:00:00+08:00"}
    await loyalty.call("cancel_order", order_id=order_id, json=called_off)
    answer = await refund(loyalty, order_id, amount_fen=10_000)
    assert (answer["status"], answer["applied_fen"]) == ("applied", 0)
    assert await points_of(loyalty, member_id) == NOTHING


async def test_the_reading_reaches_every_row_by_its_key(loyalty: ServiceUnderTest) -> None:
    """Although all tables are small when it is planned: the plan is kept while they grow."""
    async with loyalty.database.lanes.take() as connection:
        await connection.execute(f"prepare reading as {_READ}")
        given = "array['SO-1'], now(), 8, array['RF-1'], now()"
        explain = f"explain (format json) execute reading({given})"
        (plan,) = await connection.fetchval(explain)
        await connection.execute("deallocate reading")
    scans = list(_scans(plan["Plan"]))
    tables = {"orders", "refunds", "order_cancellations", "early_completions", "accounts",
              "growth_entries", "members", "vouchers", "point_lots"}  # fmt: skip
    assert {scan["Relation Name"] for scan in scans} == tables | {"programme_versions"}
    assert [
        (scan["Node Type"], scan["Relation Name"])
        for scan in scans
        if not {"Index Cond", "Recheck Cond"} & set(scan) and scan["Relation Name"] in tables
    ] == []


def _scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Relation Name" in node:
        yield node
    for inner in node.get("Plans", []):
        yield from _scans(inner)
