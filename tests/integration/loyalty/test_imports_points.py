"""Points of an old system come in bulk: each reference once, and the ledger agrees with them."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.loyalty.jobs import JOBS
from shared.jobs import run_due
from shared.sql import execute
from tests.integration.loyalty import imports_world
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_points_world import (
    LONG_AGO,
    balance,
    counts,
    customer,
    imported,
    past,
    refusals,
    statement,
)
from tests.integration.loyalty.imports_world import ndjson, upload
from tests.integration.loyalty.people import (
    enrol,
    everything,
    place,
    points_of,
    redeem,
    refund,
    spendable,
)
from tests.integration.loyalty.vouchers_world import events
from tests.support.service import ServiceUnderTest, Starter

RELEASE = next(job for job in JOBS if job.name == "release_due_lots")
#: Noon in Shanghai is four hours past midnight in UTC: see NOON.
NOW = "2026-11-23T04:00:00+00:00"


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def _lots(loyalty: ServiceUnderTest) -> list[tuple[str, int, str | None]]:
    """The lots that hold points: what made them, how many, and when they lapse, in UTC."""
    rows = await loyalty.rows(
        "select cause_id, remaining, to_char(expires_at, 'YYYY-MM-DD HH24:MI') as lapses"
        " from point_lots where remaining > 0 order by expires_at, cause_id"
    )
    return [(row.cause_id, row.remaining, row.lapses) for row in rows]


async def test_opening_balances_are_lots_that_lapse_as_given_or_by_the_programme(
    loyalty: ServiceUnderTest,
) -> None:
    lines = [
        balance("A", 300, expires_at="2027-01-01T00:00:00+08:00", reason="旧系统余额"),
        balance("B", 200),
        balance("C", 70, identity_value="customer-8"),
    ]

    ended = await imported(loyalty, lines)

    assert (ended["state"], counts(ended), ended["members"]) == ("done", (3, 0, 0), 2)
    assert (await points_of(loyalty, await customer(loyalty)))["available"] == 500
    assert (await points_of(loyalty, await customer(loyalty, "customer-8")))["available"] == 70
    assert await _lots(loyalty) == [
        ("A", 300, "2026-12-31 16:00"),
        ("B", 200, "2027-11-30 16:00"),
        ("C", 70, "2027-11-30 16:00"),
    ]
    (first, _) = await statement(loyalty, await customer(loyalty))
    assert (first["kind"], first["points"], first["reason"]) == ("imported", 300, "旧系统余额")
    shown = await loyalty.call("show_points_import", import_id=ended["id"])
    assert shown.json() == ended
    assert await audit(loyalty) == 3


async def test_a_balance_that_begins_later_waits_until_then(loyalty: ServiceUnderTest) -> None:
    await imported(loyalty, [balance("A", 300, available_at="2026-12-01T00:00:00+08:00")])
    member_id = await customer(loyalty)
    assert await points_of(loyalty, member_id) == {
        "available": 0, "pending": 300, "held": 0, "debt": 0,
    }  # fmt: skip

    loyalty.clock.advance(timedelta(days=8))
    assert await run_due(RELEASE, database=loyalty.database) == 1

    assert (await points_of(loyalty, member_id))["available"] == 300
    assert [one["kind"] for one in await statement(loyalty, member_id)] == ["imported", "released"]
    assert await _lots(loyalty) == [("A", 300, "2027-12-31 16:00")]
    await audit(loyalty)


async def test_debt_is_repaid_first(loyalty: ServiceUnderTest) -> None:
    member_id = await spendable(loyalty, points=100)
    assert (await redeem(loyalty, member_id, points=100)).status_code == 201
    (order,) = await loyalty.rows("select order_id from orders")
    await refund(loyalty, order.order_id, amount_fen=10_000)
    assert (await points_of(loyalty, member_id))["debt"] == 100

    await imported(loyalty, [balance("A", 250, identity_value=None, member_id=member_id)])

    balances = await points_of(loyalty, member_id)
    assert (balances["available"], balances["debt"]) == (150, 0)
    await audit(loyalty)


async def test_a_negative_balance_takes_what_is_there_and_leaves_the_rest_as_debt(
    loyalty: ServiceUnderTest,
) -> None:
    await imported(loyalty, [balance("A", 100), balance("B", -30), balance("C", -100)])

    balances = await points_of(loyalty, await customer(loyalty))

    assert (balances["available"], balances["debt"]) == (0, 30)
    told = [one["points"] for one in await statement(loyalty, await customer(loyalty))]
    assert told == [100, -30, -70, -30]
    await imported(loyalty, [balance("D", 50)])
    balances = await points_of(loyalty, await customer(loyalty))
    assert (balances["available"], balances["debt"]) == (20, 0)
    await audit(loyalty)


async def test_a_history_is_posted_in_file_order_and_the_balance_follows_from_it(
    loyalty: ServiceUnderTest,
) -> None:
    lines = [
        past("earned", "A", 300, expires_at="2028-01-01T00:00:00+08:00"),
        past("earned", "B", 100, expires_at="2027-06-01T00:00:00+08:00"),
        past("redeemed", "C", 150, occurred_at="2026-03-01T10:00:00+08:00", reason="礼品"),
        past("expired", "D", 20, occurred_at="2026-04-01T00:00:00+08:00"),
        past("adjusted", "E", 40, occurred_at="2026-05-01T00:00:00+08:00"),
        past("adjusted", "F", -10, occurred_at="2026-06-01T00:00:00+08:00"),
    ]

    assert counts(await imported(loyalty, lines)) == (6, 0, 0)

    member_id = await customer(loyalty)
    assert (await points_of(loyalty, member_id))["available"] == 260
    told = await statement(loyalty, member_id)
    assert [(one["kind"], one["points"]) for one in told] == [
        ("earned", 300), ("earned", 100), ("redeemed", -150), ("expired", -20),
        ("adjusted", 40), ("adjusted", -10),
    ]  # fmt: skip
    assert told[2]["occurred_at"] == "2026-03-01T02:00:00Z"
    assert {one["recorded_at"] for one in told} == {"2026-11-23T04:00:00Z"}
    # The soonest to lapse paid first: B, and only then what was earned with it.
    assert await _lots(loyalty) == [("E", 30, "2027-05-31 16:00"), ("A", 230, "2027-12-31 16:00")]
    assert await audit(loyalty) == 6


async def test_a_past_that_would_have_lapsed_is_good_for_a_month_yet(
    loyalty: ServiceUnderTest,
) -> None:
    """Nothing lapses silently: the old system has not said a word of it to us."""
    lines = [
        past("earned", "A", 1, occurred_at="2024-01-05T10:00:00+08:00"),
        past("earned", "B", 2, expires_at="2026-02-01T00:00:00+08:00"),
        past("earned", "C", 3, expires_at="2026-12-24T00:00:00+08:00"),
        balance("D", 4, available_at="2020-01-01T00:00:00Z"),
    ]

    assert counts(await imported(loyalty, lines)) == (4, 0, 0)

    assert await _lots(loyalty) == [
        ("A", 1, "2026-12-23 16:00"),
        ("B", 2, "2026-12-23 16:00"),
        ("C", 3, "2026-12-23 16:00"),
        ("D", 4, "2026-12-23 16:00"),
    ]


async def test_a_line_that_would_leave_less_than_nothing_is_refused_and_its_neighbours_go_on(
    loyalty: ServiceUnderTest,
) -> None:
    lines = [
        past("redeemed", "A", 1),
        past("earned", "B", 100),
        past("redeemed", "C", 101),
        past("expired", "D", 101),
        past("adjusted", "E", -101),
        past("earned", "F", 5, identity_value="customer-8"),
        past("redeemed", "G", 100),
    ]

    ended = await imported(loyalty, lines)

    assert counts(ended) == (3, 0, 4)
    assert await refusals(loyalty, ended["id"]) == [
        (line, "insufficient_points", "/points") for line in (1, 3, 4, 5)
    ]
    assert (await points_of(loyalty, await customer(loyalty)))["available"] == 0
    assert (await points_of(loyalty, await customer(loyalty, "customer-8")))["available"] == 5
    assert await audit(loyalty) == 3


async def test_a_refused_line_may_come_again_when_it_fits(loyalty: ServiceUnderTest) -> None:
    first = await imported(loyalty, [past("redeemed", "A", 10), past("earned", "B", 10)])
    again = await imported(loyalty, [past("redeemed", "A", 10), past("earned", "B", 10)])

    assert (counts(first), counts(again)) == ((1, 0, 1), (1, 1, 0))
    assert (await points_of(loyalty, await customer(loyalty)))["available"] == 0


@pytest.mark.parametrize(("kind", "sign"), [("expired", 1), ("redeemed", 1), ("adjusted", -1)])
async def test_the_past_takes_no_points_that_were_earned_here_and_the_mended_file_is_taken(
    loyalty: ServiceUnderTest, kind: str, sign: int
) -> None:
    member_id = await spendable(loyalty, points=100)
    of_them = {"identity_value": None, "member_id": member_id}
    # It lapses later than what was earned here, which is next in turn.
    earned = past("earned", "A", 80, expires_at="2030-01-01T00:00:00+08:00", **of_them)
    gone = past(kind, "B", 80 * sign, **of_them)
    file = [earned | {"points": "80"}, gone]

    first = await imported(loyalty, file)
    assert await refusals(loyalty, first["id"]) == [
        (1, "invalid", "/points"),
        (2, "insufficient_points", "/points"),
    ]
    (live,) = await _lots(loyalty)
    mended = await imported(loyalty, [earned, gone])

    assert counts(mended) == (2, 0, 0)
    assert await _lots(loyalty) == [live]
    assert (await points_of(loyalty, member_id))["available"] == live[1] == 100
    assert await audit(loyalty) == 4


async def test_a_negative_balance_is_owed_today_and_paid_from_whatever_is_available(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await spendable(loyalty, points=100)

    await imported(loyalty, [balance("A", -130, identity_value=None, member_id=member_id)])

    balances = await points_of(loyalty, member_id)
    assert (balances["available"], balances["debt"]) == (0, 30)
    await audit(loyalty)


async def test_lines_of_a_member_whose_books_do_not_agree_are_refused_and_all_others_taken(
    loyalty: ServiceUnderTest,
) -> None:
    """Whether that shows when what is due is released, or only when points are taken."""
    due = balance("A", 100, available_at="2026-11-25T00:00:00+08:00")
    await imported(loyalty, [due, balance("A", 100, identity_value="customer-8")])
    broken, other = await customer(loyalty), await customer(loyalty, "customer-8")
    await loyalty.change("update accounts set pending = 7 where member_id = :id", id=broken)
    await loyalty.change("update accounts set available = 7 where member_id = :id", id=other)
    loyalty.clock.advance(timedelta(days=8))
    lines = [
        balance("B", 10, identity_value="customer-1"),
        due,
        balance("B", 10),
        past("redeemed", "B", 50, identity_value="customer-8"),
        balance("B", 10, identity_value="customer-3"),
    ]

    ended = await imported(loyalty, lines)

    assert (ended["state"], counts(ended)) == ("done", (2, 1, 2))
    assert await refusals(loyalty, ended["id"]) == [
        (line, "member_unavailable", "/identity_value") for line in (3, 4)
    ]
    listed = await loyalty.call(
        "list_points_import_refusals", import_id=ended["id"], headers={"Accept-Language": "en"}
    )
    assert "books do not agree" in listed.json()["data"][0]["detail"]
    for who in ("customer-1", "customer-3"):
        assert (await points_of(loyalty, await customer(loyalty, who)))["available"] == 10
    await loyalty.change("update accounts set pending = 100 where member_id = :id", id=broken)
    await loyalty.change("update accounts set available = 100 where member_id = :id", id=other)
    assert counts(await imported(loyalty, lines)) == (2, 3, 0), "the same file, once mended"
    await audit(loyalty)


async def test_a_reference_counts_once_per_member_in_a_file_and_across_files(
    loyalty: ServiceUnderTest,
) -> None:
    lines = [
        balance("A", 100),
        balance("A", 100),
        balance("A", 100, identity_value="customer-8"),
        balance("A", 101),
        balance("A", 100, reason="again"),
        past("earned", "A", 100),
    ]

    first = await imported(loyalty, lines)
    second = await imported(loyalty, [*lines, balance("A", 100, expires_at="2028-01-01T00:00:00Z")])

    assert (counts(first), counts(second)) == ((2, 1, 3), (0, 3, 4))
    assert await refusals(loyalty, second["id"]) == [
        (line, "already_recorded_differently", "/reference") for line in (4, 5, 6, 7)
    ]
    assert (await points_of(loyalty, await customer(loyalty)))["available"] == 100
    assert await audit(loyalty) == 2


async def test_the_same_file_again_changes_nothing(loyalty: ServiceUnderTest) -> None:
    lines = [
        balance("A", 100, expires_at="2026-12-01T00:00:00Z"),
        past("earned", "B", 100),
        past("redeemed", "C", 150),
        balance("D", -80),
        balance("E", 30, available_at="2026-11-24T00:00:00Z"),
    ]
    assert counts(await imported(loyalty, lines)) == (5, 0, 0)
    before = await everything(loyalty)

    again = await imported(loyalty, lines)

    assert (counts(again), again["members"]) == ((0, 5, 0), 0)
    assert await everything(loyalty) == before


async def test_a_line_is_known_again_even_when_its_day_has_passed(
    loyalty: ServiceUnderTest,
) -> None:
    lines = [balance("A", 100, expires_at="2026-12-01T00:00:00Z")]
    await imported(loyalty, lines)
    loyalty.clock.advance(timedelta(days=300))

    assert counts(await imported(loyalty, lines)) == (0, 1, 0)


async def test_what_is_due_is_released_and_told_even_for_whom_nothing_is_new(
    loyalty: ServiceUnderTest,
) -> None:
    lines = [balance("A", 30, available_at="2026-11-24T00:00:00Z")]
    await imported(loyalty, lines)
    loyalty.clock.advance(timedelta(days=2))

    await imported(loyalty, lines)

    assert len(await events(loyalty, "points.released.v1")) == 1
    assert await loyalty.scalar("select available from accounts") == 30
    assert await run_due(RELEASE, database=loyalty.database) == 0
    assert await audit(loyalty) == 2


@pytest.mark.parametrize(
    ("wrong", "code", "pointer"),
    [
        (balance("A", 0), "points_zero", "/points"),
        (balance("A", 10_000_001), "invalid", "/points"),
        (balance("A", 1) | {"points": 1.5}, "invalid", "/points"),
        (balance("A", 1, kind="gift"), "invalid", "/kind"),
        (balance("A", 1, kind=None), "missing", "/kind"),
        (balance("A b", 1), "invalid", "/reference"),
        (balance("A", 1, occurred_at=LONG_AGO), "not_for_this_movement", "/occurred_at"),
        (balance("A", 1, expires_at="2026-11-23T12:00:00+08:00"), "expires_in_past", "/expires_at"),
        (balance("A", 1, expires_at="2025-01-01T00:00:00Z"), "expires_in_past", "/expires_at"),
        (
            balance("A", 1, available_at="2027-01-02T00:00:00Z", expires_at="2027-01-02T00:00:00Z"),
            "expires_before_available",
            "/expires_at",
        ),
        (
            balance("A", -1, expires_at="2028-01-01T00:00:00Z"),
            "not_for_this_movement",
            "/expires_at",
        ),
        (balance("A", -1, available_at=LONG_AGO), "not_for_this_movement", "/available_at"),
        (past("earned", "A", -1), "points_negative", "/points"),
        (past("redeemed", "A", -1), "points_negative", "/points"),
        (past("expired", "A", -1), "points_negative", "/points"),
        (past("earned", "A", 1, occurred_at=None), "missing", "/occurred_at"),
        (past("earned", "A", 1, available_at=LONG_AGO), "not_for_this_movement", "/available_at"),
        (past("earned", "A", 1, expires_at=LONG_AGO), "expires_before_available", "/expires_at"),
        (
            past("redeemed", "A", 1, expires_at="2028-01-01T00:00:00Z"),
            "not_for_this_movement",
            "/expires_at",
        ),
        (
            past("earned", "A", 1, occurred_at="2026-11-23T12:00:01+08:00"),
            "occurred_in_future",
            "/occurred_at",
        ),
        (balance("A", 1, identity_value=None), "member_missing", "/identity_value"),
        (balance("A", 1, member_id="mem_" + "0" * 26), "member_ambiguous", "/member_id"),
        (
            balance("A", 1, identity_value=None, member_id="mem_" + "0" * 26),
            "member_unknown",
            "/member_id",
        ),
        (balance("A", 1, colour="red"), "extra_forbidden", None),
    ],
)
async def test_one_bad_line_harms_nobody(
    loyalty: ServiceUnderTest, wrong: dict[str, Any], code: str, pointer: str | None
) -> None:
    lines = [balance("X", 1), {"identity_value": "customer-9"} | wrong, balance("Y", 2)]
    if "identity_value" not in wrong:
        lines[1] = wrong

    ended = await imported(loyalty, lines)

    assert (ended["state"], counts(ended)) == ("done", (2, 0, 1))
    assert await refusals(loyalty, ended["id"]) == [(2, code, pointer)]
    assert (await points_of(loyalty, await customer(loyalty)))["available"] == 3
    listed = await loyalty.call(
        "list_points_import_refusals", import_id=ended["id"], headers={"Accept-Language": "en"}
    )
    assert not listed.json()["data"][0]["detail"].startswith("validation.")
    assert await audit(loyalty) == 2


async def test_points_beyond_counting_are_refused(loyalty: ServiceUnderTest) -> None:
    await imported(loyalty, [balance("A", 1)])
    async with loyalty.database.begin(actor="test") as transaction:
        # As if there had been a great many before: one lot, one balance.
        for statement_ in (
            "update accounts set available = 9007199254740990",
            "update point_lots set points = 9007199254740990, remaining = 9007199254740990",
        ):
            await execute(transaction.session, text(statement_))

    ended = await imported(loyalty, [balance("B", 2), balance("C", 1)])

    assert await refusals(loyalty, ended["id"]) == [(1, "balance_limit_reached", "/points")]
    assert counts(ended) == (1, 0, 1)


async def test_csv_is_taken_as_well(loyalty: ServiceUnderTest) -> None:
    content = (
        "kind,reference,identity_kind,identity_value,points,occurred_at,expires_at,reason\r\n"
        "balance,OLD-1,phone,13800138000,1200,,2027-12-31T16:00:00Z,\r\n"
        f'earned,OLD-2,phone,"+86 138 0013 8000",300,{LONG_AGO},,"满100, 送积分"\r\n'
        f"redeemed,OLD-3,phone,13800138000,200,{LONG_AGO},,\r\n"
        f"redeemed,OLD-4,phone,13800138000,2e2,{LONG_AGO},,\r\n"
    ).encode()

    ended = await imported(loyalty, content, media_type="text/csv")

    assert (ended["state"], counts(ended), ended["members"]) == ("done", (3, 0, 1), 1)
    assert await refusals(loyalty, ended["id"]) == [(5, "invalid", "/points")]
    assert await loyalty.scalar("select available from accounts") == 1300
    assert await audit(loyalty) == 3
    failed = await imported(loyalty, b"kind,points,member_id\n", media_type="text/csv")
    assert (failed["state"], failed["error"]) == ("failed", "csv_header_invalid")


async def test_without_enrolment_whoever_is_unknown_is_refused(loyalty: ServiceUnderTest) -> None:
    await enrol(loyalty, identities=[{"kind": "external", "value": "customer-7"}])
    lines = [balance("A", 5), balance("B", 5, identity_value="customer-8")]

    ended = await imported(loyalty, lines, enrol="false")

    assert (counts(ended), ended["members"]) == ((1, 0, 1), 0)
    assert await refusals(loyalty, ended["id"]) == [(2, "member_unknown", "/identity_value")]
    assert await loyalty.scalar("select count(*) from members") == 1


async def test_one_event_for_each_batch_tells_by_how_much_each_member_was_moved(
    loyalty: ServiceUnderTest,
) -> None:
    lines = [balance(f"A-{n}", 10, identity_value=f"customer-{n % 300}") for n in range(700)] + [
        past("redeemed", "R", 4, identity_value="customer-0")
    ]

    ended = await imported(loyalty, lines)

    first, second = await events(loyalty, "points.imported.v1")
    assert {first["import_id"], second["import_id"]} == {ended["id"]}
    assert (len(first["members"]), len(second["members"])) == (300, 200)
    totals: dict[str, int] = {}
    for one in [*first["members"], *second["members"]]:
        totals[one["member_id"]] = totals.get(one["member_id"], 0) + one["points"]
    rows = await loyalty.rows("select member_id, available from accounts")
    assert totals == {row.member_id: row.available for row in rows}
    assert await events(loyalty, "points.earned.v1", "points.redeemed.v1") == []


async def test_imported_points_are_spent_like_any_others(loyalty: ServiceUnderTest) -> None:
    await imported(loyalty, [balance("A", 100)])
    member_id = await customer(loyalty)
    await place(loyalty, member_id, paid_fen=10_000)

    assert (await redeem(loyalty, member_id, points=101)).status_code == 409
    assert (await redeem(loyalty, member_id, points=100)).status_code == 201
    assert await points_of(loyalty, member_id) == {
        "available": 0, "pending": 100, "held": 0, "debt": 0,
    }  # fmt: skip
    await audit(loyalty)


async def test_the_two_kinds_of_imports_do_not_show_each_others(loyalty: ServiceUnderTest) -> None:
    points = await imported(loyalty, [balance("A", 1)], key="history")
    orders = await imports_world.imported(loyalty, ndjson([imports_world.line(1)]), key="history")

    assert orders["orders"] == points["movements"] == 1
    for operation in ("show_order_import", "list_order_import_refusals"):
        reply = await loyalty.call(operation, import_id=points["id"])
        assert reply.status_code == 404
    for operation in ("show_points_import", "list_points_import_refusals"):
        reply = await loyalty.call(operation, import_id=orders["id"])
        assert reply.status_code == 404


async def test_a_key_stands_for_one_file_and_one_set_of_parameters(
    loyalty: ServiceUnderTest,
) -> None:
    file = ndjson([balance("A", 1)])
    await imported(loyalty, file, key="history")

    replayed = await upload(loyalty, file, key="history", operation="import_points")
    other_file = await upload(loyalty, file * 2, key="history", operation="import_points")
    other_terms = await upload(
        loyalty, file, key="history", operation="import_points", enrol="false"
    )

    assert replayed.headers["Idempotency-Replayed"] == "true"
    for reply in (other_file, other_terms):
        assert (reply.status_code, reply.json()["code"]) == (422, "idempotency_key_reused")
    assert await loyalty.scalar("select available from accounts") == 1
