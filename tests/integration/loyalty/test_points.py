"""Points through the service's door, on real PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

from services.loyalty.jobs import JOBS
from shared.jobs import run_due
from shared.kernel.clock import rfc3339
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_points_world import balance, imported
from tests.integration.loyalty.members_world import indebted
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    place,
    points_of,
    redeem,
    refund,
    spendable,
    types_of_events,
    wallet_of,
)
from tests.integration.loyalty.racing import ACCOUNTS, race, replicas_of
from tests.support.service import ServiceUnderTest, Starter

NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}
RELEASE = next(job for job in JOBS if job.name == "release_due_lots")


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_points_are_pending_until_the_order_is_completed_and_the_hold_is_over(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=25_900)
    assert await points_of(loyalty, member_id) == {**NOTHING, "pending": 259}

    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=7) - timedelta(microseconds=1))
    assert await points_of(loyalty, member_id) == {**NOTHING, "pending": 259}
    assert (await redeem(loyalty, member_id, points=1)).status_code == 409

    loyalty.clock.advance(timedelta(microseconds=1))
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 259}
    assert (await redeem(loyalty, member_id, points=259)).status_code == 201
    assert await points_of(loyalty, member_id) == NOTHING
    assert await audit(loyalty) == 3


async def test_the_job_releases_what_is_due_for_everybody_and_then_has_nothing_to_do(
    loyalty: ServiceUnderTest,
) -> None:
    due = [await enrol(loyalty) for _ in range(3)]
    for member_id in due:
        await complete(loyalty, await place(loyalty, member_id, paid_fen=10_000))
    loyalty.clock.advance(timedelta(days=1))
    later = await enrol(loyalty)
    await complete(loyalty, await place(loyalty, later, paid_fen=10_000))
    loyalty.clock.advance(timedelta(days=6))

    assert await run_due(RELEASE, database=loyalty.database) == 3
    assert await run_due(RELEASE, database=loyalty.database) == 0

    assert (await types_of_events(loyalty)).count("points.released.v1") == 3
    stored = await loyalty.rows("select member_id from accounts where available = 100")
    assert {row.member_id for row in stored} == set(due)
    assert await audit(loyalty) == 7


async def test_the_job_passes_by_a_member_whom_somebody_else_is_at(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await spendable(loyalty, points=100)
    async with loyalty.database.begin(actor="test") as other:
        locked = await other.session.connection()
        await locked.exec_driver_sql("select * from accounts for update")
        assert await run_due(RELEASE, database=loyalty.database) == 0
    assert await run_due(RELEASE, database=loyalty.database) == 1
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 100}


async def test_a_redemption_says_what_it_took_and_what_is_left(loyalty: ServiceUnderTest) -> None:
    member_id = await spendable(loyalty, points=259)

    reply = await redeem(loyalty, member_id, points=100)

    assert reply.status_code == 201
    made = reply.json()
    lot = await loyalty.scalar("select id from point_lots")
    assert made == {
        "id": made["id"],
        "member_id": member_id,
        "state": "redeemed",
        "points": 100,
        "returned_points": 0,
        "purpose": "checkout",
        "reference": "SO-9",
        "hold_expires_at": None,
        "created_at": "2026-11-30T04:00:00Z",
        "closed_at": "2026-11-30T04:00:00Z",
        "balances": {**NOTHING, "available": 159},
        "lots": [{"id": lot, "points": -100}],
    }
    shown = await loyalty.call("show_redemption", redemption_id=made["id"])
    assert shown.json() == {k: v for k, v in made.items() if k not in ("balances", "lots")}
    assert (await types_of_events(loyalty))[-2:] == ["points.released.v1", "points.redeemed.v1"]


async def test_a_redemption_beyond_the_balance_changes_nothing(loyalty: ServiceUnderTest) -> None:
    member_id = await spendable(loyalty, points=50)
    before = await everything(loyalty)

    reply = await redeem(loyalty, member_id, points=51)

    assert reply.status_code == 409
    problem = reply.json()
    assert problem["code"] == "insufficient_points"
    assert "51" in problem["detail"]
    assert "50" in problem["detail"]
    assert await everything(loyalty) == before


@pytest.mark.parametrize("points", [0, -1, 10_000_001, 2**63, 1.5, "1", True, None])
async def test_points_that_are_no_count_are_refused(
    loyalty: ServiceUnderTest, points: object
) -> None:
    member_id = await spendable(loyalty, points=50)
    before = await everything(loyalty)
    reply = await loyalty.call(
        "redeem_points",
        member_id=member_id,
        json={"points": points, "purpose": "checkout", "reference": "SO-9"},
    )
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["pointer"] == "/points"
    assert await everything(loyalty) == before


async def test_a_redemption_needs_a_key_and_a_member(loyalty: ServiceUnderTest) -> None:
    member_id = await spendable(loyalty, points=50)
    body = {"points": 1, "purpose": "checkout", "reference": "SO-9"}
    keyless = await loyalty.call("redeem_points", member_id=member_id, json=body, key=None)
    assert (keyless.status_code, keyless.json()["code"]) == (400, "idempotency_key_missing")
    unknown = await redeem(loyalty, "mem_" + "0" * 26, points=1)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "member_not_found")
    strange = await redeem(loyalty, "nobody", points=1)
    assert (strange.status_code, strange.json()["code"]) == (404, "not_found")


async def test_of_100_simultaneous_redemptions_of_a_balance_for_one_exactly_one_succeeds(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    member_id = await spendable(loyalty, points=100)
    replicas = await replicas_of(loyalty, start, count=4)

    calls = [redeem(replicas[n % 4], member_id, points=100) for n in range(100)]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=4)

    assert sorted(reply.status_code for reply in replies) == [201] + [409] * 99
    assert {r.json()["code"] for r in replies if r.status_code == 409} == {"insufficient_points"}
    assert await points_of(loyalty, member_id) == NOTHING
    assert await loyalty.scalar("select count(*) from redemptions") == 1
    assert (await types_of_events(loyalty)).count("points.redeemed.v1") == 1
    assert await audit(loyalty) == 3


async def test_the_same_key_100_times_at_once_has_one_effect_and_100_equal_replies(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    member_id = await spendable(loyalty, points=1000)
    replicas = await replicas_of(loyalty, start, count=4)

    calls = [redeem(replicas[n % 4], member_id, points=1, key="checkout-1") for n in range(100)]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=4)

    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.content for reply in replies}) == 1
    assert sum("idempotency-replayed" not in reply.headers for reply in replies) == 1
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 999}
    assert await loyalty.scalar("select count(*) from redemptions") == 1


async def test_a_key_used_for_another_redemption_is_refused(loyalty: ServiceUnderTest) -> None:
    member_id = await spendable(loyalty, points=100)
    assert (await redeem(loyalty, member_id, points=1, key="k")).status_code == 201
    before = await everything(loyalty)
    again = await redeem(loyalty, member_id, points=2, key="k")
    assert (again.status_code, again.json()["code"]) == (422, "idempotency_key_reused")
    assert await everything(loyalty) == before


async def test_redeeming_earning_refunding_and_releasing_at_once_leave_books_that_agree(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await spendable(loyalty, points=40)
    orders = [await place(loyalty, member_id, paid_fen=5000) for _ in range(8)]

    await race(
        loyalty,
        *(redeem(loyalty, member_id, points=7) for _ in range(12)),
        *(place(loyalty, member_id, paid_fen=900) for _ in range(8)),
        *(complete(loyalty, order_id) for order_id in orders[:4]),
        *(refund(loyalty, order_id, amount_fen=5000) for order_id in orders[4:]),
        run_due(RELEASE, database=loyalty.database),
        at=ACCOUNTS,
        meeting=4,
    )

    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 5, "pending": 272}
    assert await loyalty.scalar("select count(*) from redemptions") == 5
    await audit(loyalty)


async def test_the_statement_adds_up_line_by_line(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=30_000)
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=7))
    await redeem(loyalty, member_id, points=250)
    await refund(loyalty, order_id, amount_fen=30_000, refund_id="RF-A")
    await complete(loyalty, await place(loyalty, member_id, paid_fen=60_000))
    loyalty.clock.advance(timedelta(days=7))
    await redeem(loyalty, member_id, points=1)

    lines = (await loyalty.call("list_point_entries", member_id=member_id)).json()["data"]

    assert [(line["kind"], line["points"], line["balance_after"]) for line in lines] == [
        ("redeemed", -1, 349),
        ("repaid", 0, 350),
        ("released", 0, 350),
        ("earned", 600, 350),
        ("clawed_back", -250, -250),
        ("clawed_back", -50, 0),
        ("redeemed", -250, 50),
        ("released", 0, 300),
        ("earned", 300, 300),
    ]
    assert lines[4]["cause"] == {"kind": "refund", "id": "RF-A"}
    assert lines[4]["balances_after"] == {**NOTHING, "debt": 250}
    assert [part["points"] for part in lines[6]["lots"]] == [-250]
    assert (lines[1]["moved"], lines[1]["from_account"]) == (250, "available")


async def test_the_statement_comes_in_pages_without_gap_or_repetition(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await spendable(loyalty, points=100)
    for _ in range(5):
        await redeem(loyalty, member_id, points=1)
    whole = (await loyalty.call("list_point_entries", member_id=member_id)).json()
    assert whole["next_cursor"] is None

    seen, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await loyalty.call("list_point_entries", member_id=member_id, params=params)).json()
        seen += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == whole["data"]
    assert len(seen) == 7


async def test_the_statement_of_nobody_is_not_found(loyalty: ServiceUnderTest) -> None:
    reply = await loyalty.call("list_point_entries", member_id="mem_" + "0" * 26)
    assert reply.status_code == 404
    empty = await loyalty.call("list_point_entries", member_id=await enrol(loyalty))
    assert empty.json() == {"data": [], "next_cursor": None}


async def test_balances_can_be_read_as_of_any_past_moment(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    began = loyalty.clock.now()
    loyalty.clock.advance(timedelta(hours=1))
    await place(loyalty, member_id, paid_fen=10_000)
    bought = loyalty.clock.now()
    loyalty.clock.advance(timedelta(hours=1))
    await place(loyalty, member_id, paid_fen=5_000)

    assert await points_of(loyalty, member_id, as_of=rfc3339(began)) == NOTHING
    assert (await points_of(loyalty, member_id, as_of=rfc3339(bought)))["pending"] == 100
    assert (await points_of(loyalty, member_id))["pending"] == 150
    soon = loyalty.clock.now() + timedelta(minutes=4)
    assert (await points_of(loyalty, member_id, as_of=rfc3339(soon)))["pending"] == 150, "a clock"
    ahead = await loyalty.call(
        "show_points", member_id=member_id, params={"as_of": rfc3339(soon + timedelta(minutes=2))}
    )
    assert (ahead.status_code, ahead.json()["errors"][0]["pointer"]) == (422, "?as_of")
    no_zone = await loyalty.call(
        "show_points", member_id=member_id, params={"as_of": "2026-11-23T12:00:00"}
    )
    assert no_zone.status_code == 422


async def test_the_wallet_says_when_points_lapse_and_the_schedule_adds_up(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await spendable(loyalty, points=100)
    loyalty.clock.advance(timedelta(days=31))
    await complete(loyalty, await place(loyalty, member_id, paid_fen=5_000))
    loyalty.clock.advance(timedelta(days=7))
    await redeem(loyalty, member_id, points=30)

    points = (await wallet_of(loyalty, member_id))["points"]

    # Available from 30 November and from 7 January: a year, to the end of the month in Shanghai.
    assert points["expiring"] == [
        {"points": 70, "expires_at": "2027-11-30T16:00:00Z"},
        {"points": 50, "expires_at": "2028-01-31T16:00:00Z"},
    ]
    assert sum(one["points"] for one in points["expiring"]) == points["available"] == 120


async def test_points_about_to_repay_debt_are_shown_as_if_they_had(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    first = await place(loyalty, member_id, paid_fen=10_000)
    await complete(loyalty, first)
    loyalty.clock.advance(timedelta(days=7))
    await redeem(loyalty, member_id, points=80)
    answer = await refund(loyalty, first, amount_fen=10_000)
    assert answer["points"] == {"clawed_back": 100, "debt": 80, "returned": 0}
    await complete(loyalty, await place(loyalty, member_id, paid_fen=20_000))
    loyalty.clock.advance(timedelta(days=7))

    seen = (await wallet_of(loyalty, member_id))["points"]
    assert (seen["available"], seen["debt"]) == (120, 0)
    assert [one["points"] for one in seen["expiring"]] == [120]

    assert await run_due(RELEASE, database=loyalty.database) == 1
    assert (await wallet_of(loyalty, member_id))["points"] == seen
    await audit(loyalty)


async def test_the_wallet_takes_debt_from_the_lot_that_is_due_first_as_the_ledger_will(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await indebted(loyalty, points=50)
    start = loyalty.clock.now()
    lines = [
        balance(
            reference,
            100,
            identity_value=None,
            member_id=member_id,
            available_at=rfc3339(start + timedelta(days=due)),
            expires_at=rfc3339(start + timedelta(days=lapses)),
        )
        for reference, due, lapses in (("X-1", 5, 400), ("X-2", 6, 100))
    ]
    assert (await imported(loyalty, lines))["movements"] == len(lines)
    loyalty.clock.at = start + timedelta(days=7)
    seen = (await wallet_of(loyalty, member_id))["points"]
    assert (seen["available"], seen["debt"]) == (150, 0)
    assert [one["points"] for one in seen["expiring"]] == [100, 50]
    schedule = await loyalty.call("show_expiry_schedule", member_id=member_id)
    assert schedule.json()["data"] == seen["expiring"]
    assert await run_due(RELEASE, database=loyalty.database) == 1
    assert (await wallet_of(loyalty, member_id))["points"] == seen
    await audit(loyalty)


async def test_points_past_their_day_are_not_lost_without_a_notice(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await spendable(loyalty, points=100)
    loyalty.clock.at = datetime(2028, 6, 1, tzinfo=UTC)
    assert (await redeem(loyalty, member_id, points=100)).status_code == 201
