"""Imported orders earn when the import asks for it: as if reported, but not lapsed already."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.loyalty.jobs import JOBS
from shared.jobs import run_due
from shared.kernel.clock import rfc3339
from shared.sql import execute
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_points_world import customer, statement
from tests.integration.loyalty.imports_world import (
    counts,
    imported,
    line,
    ndjson,
    refusals,
    upload,
)
from tests.integration.loyalty.people import everything, place, points_of, redeem, refund, wallet_of
from tests.integration.loyalty.vouchers_world import events
from tests.support.service import ServiceUnderTest, Starter

RELEASE, APPLY_WAITING = [
    next(job for job in JOBS if job.name == name)
    for name in ("release_due_lots", "apply_waiting_facts")
]
NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}
PAID = "2026-06-18T20:00:00+08:00"
RECEIVED = "2026-06-21T20:00:00+08:00"
#: Received so lately that the hold is not over at noon of 23 November.
LATELY = "2026-11-20T12:00:00+08:00"


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


def order(number: int, **fields: Any) -> dict[str, Any]:
    """A completed order of this summer."""
    return line(number, **{"paid_at": PAID, "completed_at": RECEIVED, **fields})


async def earned(loyalty: ServiceUnderTest, *lines: dict[str, Any]) -> dict[str, Any]:
    """Send orders that earn; the import as it ended."""
    return await imported(loyalty, ndjson(lines), earn="true")


@pytest.mark.parametrize("earn", ["true", "false"])
async def test_a_member_whose_books_do_not_agree_stops_nobody_elses_orders(
    loyalty: ServiceUnderTest, earn: str
) -> None:
    """Earning, their orders are refused; else what waits for these goes on waiting."""
    await earned(loyalty, order(1, completed_at=LATELY))
    broken = await customer(loyalty)
    await loyalty.change("update accounts set pending = 7 where member_id = :id", id=broken)
    loyalty.clock.advance(timedelta(days=8))
    early = {"refund_id": "RF-1", "amount_fen": 9_900, "refunded_at": RECEIVED}
    for number in (2, 3):
        reply = await loyalty.call("refund_order", order_id=f"H-{number}", json=early)
        assert reply.status_code == 201
        early["refund_id"] = "RF-2"
    file = ndjson([order(2), order(3, identity_value="customer-8")])

    ended = await imported(loyalty, file, earn=earn)

    assert ended["state"] == "done"
    waits = await loyalty.rows("select order_id from refunds where applied_at is null")
    assert [row.order_id for row in waits] == ["H-2"]
    if earn == "true":
        assert await refusals(loyalty, ended["id"]) == [
            (1, "member_unavailable", "/identity_value")
        ]
    else:
        assert counts(ended)["orders"] == 2
    await loyalty.change("update accounts set pending = 99 where member_id = :id", id=broken)
    await imported(loyalty, file, earn=earn, key="mended")
    await run_due(APPLY_WAITING, database=loyalty.database)
    assert await loyalty.scalar("select count(*) from refunds where applied_at is null") == 0
    await audit(loyalty)


async def test_completed_orders_give_points_that_can_be_spent_and_growth(
    loyalty: ServiceUnderTest,
) -> None:
    ended = await earned(loyalty, order(1), order(2, identity_value="customer-8"))

    assert (ended["state"], ended["earn"], ended["orders"]) == ("done", True, 2)
    member_id = await customer(loyalty)
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 99}
    assert (await wallet_of(loyalty, member_id))["tier"]["growth"] == 99
    told = await statement(loyalty, member_id)
    assert [(one["kind"], one["points"], one["occurred_at"]) for one in told] == [
        ("earned", 99, "2026-06-18T12:00:00Z"),
        ("released", 0, "2026-06-28T12:00:00Z"),
    ]
    shown = (await loyalty.call("show_order", order_id="H-1")).json()
    assert (shown["state"], shown["points"]["earned"], shown["growth"]) == ("completed", 99, 99)
    assert await audit(loyalty) == 4


async def test_points_lapse_as_they_would_have_but_not_within_thirty_days(
    loyalty: ServiceUnderTest,
) -> None:
    old = {"paid_at": "2024-06-18T20:00:00+08:00", "completed_at": "2024-06-20T20:00:00+08:00"}
    await earned(loyalty, order(1), order(2, **old))

    lots = await loyalty.rows(
        "select cause_id, to_char(expires_at, 'YYYY-MM-DD HH24:MI') as lapses from point_lots"
        " order by 1"
    )

    assert [tuple(one) for one in lots] == [
        ("H-1", "2027-06-30 16:00"),
        ("H-2", "2026-12-23 16:00"),
    ]
    for order_id, lapses in (("H-1", "2027-06-30T16:00:00Z"), ("H-2", "2026-12-23T16:00:00Z")):
        shown = (await loyalty.call("show_order", order_id=order_id)).json()
        assert shown["points"]["expires_at"] == lapses


async def test_an_order_received_lately_waits_for_its_hold(loyalty: ServiceUnderTest) -> None:
    await earned(loyalty, order(1, completed_at=LATELY))
    member_id = await customer(loyalty)
    assert await points_of(loyalty, member_id) == {**NOTHING, "pending": 99}

    loyalty.clock.advance(timedelta(days=4))
    assert await run_due(RELEASE, database=loyalty.database) == 1

    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 99}
    await audit(loyalty)


async def test_an_order_that_is_not_completed_waits_for_its_completion(
    loyalty: ServiceUnderTest,
) -> None:
    await earned(loyalty, order(1, completed_at=None))
    member_id = await customer(loyalty)
    assert (await loyalty.call("show_order", order_id="H-1")).json()["state"] == "paid"
    assert await points_of(loyalty, member_id) == {**NOTHING, "pending": 99}

    at = rfc3339(loyalty.clock.now())
    done = await loyalty.call("complete_order", order_id="H-1", json={"completed_at": at})
    assert done.status_code == 200, done.text
    loyalty.clock.advance(timedelta(days=7))

    assert (await redeem(loyalty, member_id, points=99)).status_code == 201
    await audit(loyalty)


async def test_what_was_refunded_earns_nothing_and_later_refunds_take_back_the_rest(
    loyalty: ServiceUnderTest,
) -> None:
    """In the end as if it had been reported: earned of what is kept."""
    await earned(loyalty, order(1, paid_fen=10_050, refunded_fen=80), order(2, paid_fen=500))
    member_id = await customer(loyalty)
    assert (await points_of(loyalty, member_id))["available"] == 99 + 5

    taken = [
        (await refund(loyalty, "H-1", amount_fen=amount))["points"]["clawed_back"]
        for amount in (70, 1_900, 8_000)
    ]

    assert (taken, sum(taken)) == ([0, 19, 80], 99)
    assert (await points_of(loyalty, member_id)) == {**NOTHING, "available": 5}
    assert (await wallet_of(loyalty, member_id))["tier"]["growth"] == 5
    assert await loyalty.scalar("select sum(growth)::int from growth_entries") == 5
    shown = (await loyalty.call("show_order", order_id="H-1")).json()
    assert (shown["state"], shown["growth"]) == ("refunded", 0)
    await audit(loyalty)


async def test_an_order_that_was_refunded_in_full_earns_nothing(loyalty: ServiceUnderTest) -> None:
    await earned(loyalty, order(1, refunded_fen=9900))

    assert await points_of(loyalty, await customer(loyalty)) == NOTHING
    assert (await loyalty.call("show_order", order_id="H-1")).json()["state"] == "refunded"
    assert await audit(loyalty) == 0


async def test_a_refund_that_came_first_takes_back_points_and_growth(
    loyalty: ServiceUnderTest,
) -> None:
    await refund(loyalty, "H-1", amount_fen=5_000, refund_id="RF-H1")

    await earned(loyalty, order(1, paid_fen=10_000))

    member_id = await customer(loyalty)
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 50}
    assert (await wallet_of(loyalty, member_id))["tier"]["growth"] == 50
    assert await loyalty.scalar("select growth from growth_entries") == 50
    await audit(loyalty)


async def test_tiers_rise_along_the_file_and_multiply_what_follows(
    loyalty: ServiceUnderTest,
) -> None:
    await earned(loyalty, order(1, paid_fen=100_000), order(2, paid_fen=100_000))

    member_id = await customer(loyalty)
    assert (await points_of(loyalty, member_id))["available"] == 1000 + 1200
    tier = (await wallet_of(loyalty, member_id))["tier"]
    assert (tier["code"], tier["growth"]) == ("silver", 2000)
    (told,) = await events(loyalty, "tier.changed.v1")
    assert (told["to_tier"], told["cause_id"]) == ("silver", "H-1")
    taken = await refund(loyalty, "H-2", amount_fen=100_000)
    assert taken["points"]["clawed_back"] == 1200
    await audit(loyalty)


async def test_growth_from_before_the_window_moves_nobody(loyalty: ServiceUnderTest) -> None:
    old = {"paid_at": "2024-06-18T20:00:00+08:00", "completed_at": "2024-06-20T20:00:00+08:00"}
    await earned(loyalty, order(1, paid_fen=1_000_000, **old))

    wallet = await wallet_of(loyalty, await customer(loyalty))

    assert (wallet["tier"]["code"], wallet["tier"]["growth"]) == ("regular", 0)
    assert wallet["points"]["available"] == 10_000


async def test_debt_is_repaid_by_what_an_import_earns(loyalty: ServiceUnderTest) -> None:
    await earned(loyalty, order(1))
    member_id = await customer(loyalty)
    assert (await redeem(loyalty, member_id, points=99)).status_code == 201
    await refund(loyalty, "H-1", amount_fen=9900)
    assert await points_of(loyalty, member_id) == {**NOTHING, "debt": 99}

    await earned(loyalty, order(2, paid_fen=10_000))

    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 1}
    await audit(loyalty)


async def test_the_same_orders_again_earn_nothing_more(loyalty: ServiceUnderTest) -> None:
    lines = [order(1), order(2, completed_at=None), order(3, refunded_fen=100)]
    await earned(loyalty, *lines)
    before = await everything(loyalty)

    again = await earned(loyalty, *lines)
    plain = await imported(loyalty, ndjson(lines))
    other = await earned(loyalty, order(1, completed_at=LATELY))

    assert (again["repeated"], plain["repeated"]) == (3, 3)
    assert await refusals(loyalty, other["id"]) == [(1, "recorded_differently", "/order_id")]
    assert await everything(loyalty) == before


async def test_an_order_of_a_history_that_earned_nothing_never_does(
    loyalty: ServiceUnderTest,
) -> None:
    await imported(loyalty, ndjson([order(1)]))

    ended = await earned(loyalty, order(1))

    assert counts(ended)["repeated"] == 1
    member_id = await customer(loyalty)
    assert await points_of(loyalty, member_id) == NOTHING
    taken = await refund(loyalty, "H-1", amount_fen=9900)
    assert taken["points"]["clawed_back"] == 0
    assert await points_of(loyalty, member_id) == NOTHING


async def test_whether_orders_earn_cannot_change_under_one_key(loyalty: ServiceUnderTest) -> None:
    await imported(loyalty, ndjson([order(1)]), key="history")

    reply = await upload(loyalty, ndjson([order(1)]), key="history", earn="true")

    assert (reply.status_code, reply.json()["code"]) == (422, "idempotency_key_reused")


async def test_an_order_that_would_give_too_many_points_is_refused_alone(
    loyalty: ServiceUnderTest,
) -> None:
    await earned(loyalty, order(1, paid_fen=100))
    async with loyalty.database.begin(actor="test") as transaction:
        for change in (
            "update accounts set available = 9007199254740990",
            "update point_lots set points = 9007199254740990, remaining = 9007199254740990",
        ):
            await execute(transaction.session, text(change))

    lines = [
        order(2, paid_fen=300),
        order(3, paid_fen=300, identity_value="customer-8"),
        order(4, paid_fen=200_000_000_0, completed_at=None),
    ]
    ended = await earned(loyalty, *lines)

    assert (ended["orders"], ended["refused"]) == (2, 1)
    assert await refusals(loyalty, ended["id"]) == [(1, "balance_limit_reached", "/paid_fen")]
    assert (await loyalty.call("show_order", order_id="H-2")).status_code == 404


async def test_events_tell_of_orders_and_of_points_once_a_batch(loyalty: ServiceUnderTest) -> None:
    lines = [order(n, identity_value=f"customer-{n % 300}") for n in range(600)]

    ended = await earned(loyalty, *lines)

    told = await events(loyalty, "points.imported.v1")
    assert [len(one["members"]) for one in told] == [300, 100]
    assert {one["import_id"] for one in told} == {ended["id"]}
    assert sum(m["points"] for one in told for m in one["members"]) == 600 * 99
    assert len(await events(loyalty, "orders.imported.v1")) == 2
    assert await events(loyalty, "points.earned.v1", "points.released.v1", "order.paid.v1") == []
    await audit(loyalty)


async def test_a_live_order_after_the_import_earns_in_the_tier_that_history_gave(
    loyalty: ServiceUnderTest,
) -> None:
    await earned(loyalty, order(1, paid_fen=100_000))
    member_id = await customer(loyalty)

    await place(loyalty, member_id, paid_fen=10_000)

    assert (await points_of(loyalty, member_id))["pending"] == 120


async def test_a_completion_that_came_first_counts_for_nothing_where_the_history_tells_of_one(
    loyalty: ServiceUnderTest,
) -> None:
    early = {"completed_at": "2026-11-20T12:00:00+08:00"}
    assert (await loyalty.call("complete_order", order_id="H-1", json=early)).status_code == 202
    told = line(1, completed_at="2026-11-02T12:00:00+08:00")
    await imported(loyalty, ndjson([told]), earn=True)
    shown = await loyalty.call("show_order", order_id="H-1")
    assert shown.json()["completed_at"] == "2026-11-02T04:00:00Z"
    assert await events(loyalty, "order.completed.v1") == []
