"""Tiers and the wallet through the service's door."""

from datetime import UTC, datetime, timedelta

import pytest

from services.loyalty.domain.programme import growth_window_start
from services.loyalty.store.programme import current_programme
from shared.kernel.clock import BUSINESS_ZONE, rfc3339
from tests.integration.loyalty.people import enrol, order_of, place, points_of, wallet_of
from tests.support.service import ServiceUnderTest, Starter


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_the_default_programme_has_four_tiers(loyalty: ServiceUnderTest) -> None:
    tiers = (await loyalty.call("list_tiers")).json()["data"]
    assert [(t["code"], t["name"], t["growth"], t["multiplier_percent"]) for t in tiers] == [
        ("regular", "普通会员", 0, 100),
        ("silver", "银牌会员", 1000, 120),
        ("gold", "金牌会员", 5000, 150),
        ("diamond", "钻石会员", 20_000, 200),
    ]


async def test_a_newcomers_wallet_is_empty_and_says_what_comes_next(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    assert await wallet_of(loyalty, member_id) == {
        "member_id": member_id,
        "points": {"available": 0, "pending": 0, "held": 0, "debt": 0, "expiring": []},
        "tier": {
            "code": "regular",
            "name": "普通会员",
            "growth": 0,
            "next": {"code": "silver", "name": "银牌会员", "growth_needed": 1000},
            "valid_until": None,
            "keep_needed": 0,
        },
        "entitlements": [
            {"code": "points_multiplier", "value": 100},
            {"code": "new_member_pack", "value": None},
        ],
        "vouchers": {"usable": 0},
        "stamps": [],
    }


async def test_an_order_lifts_at_once_and_the_next_earns_by_the_new_tier(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    first = await loyalty.call("record_order", json=order_of(member_id, paid_fen=100_000))
    assert first.json()["tier"] == {"code": "silver", "name": "银牌会员"}
    assert first.json()["points"]["earned"] == 1000

    second = await loyalty.call("record_order", json=order_of(member_id, paid_fen=19_999))

    assert second.json()["points"]["earned"] == 239
    wallet = await wallet_of(loyalty, member_id)
    assert wallet["tier"] == {
        "code": "silver",
        "name": "银牌会员",
        "growth": 1199,
        "next": {"code": "gold", "name": "金牌会员", "growth_needed": 3801},
        "valid_until": "2027-11-23T16:00:00Z",
        "keep_needed": 0,
    }
    (change,) = await loyalty.rows("select * from tier_changes")
    assert (change.from_tier, change.to_tier, change.growth) == ("regular", "silver", 1000)
    assert (change.cause_kind, change.cause_id) == ("order", first.json()["order_id"])


async def test_an_order_may_lift_over_several_tiers_to_the_top(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    await place(loyalty, member_id, paid_fen=2_000_000)
    tier = (await wallet_of(loyalty, member_id))["tier"]
    assert (tier["code"], tier["next"]) == ("diamond", None)


async def test_spending_points_lowers_no_tier(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    paid_at = "2026-11-01T00:00:00Z"
    order_id = await place(loyalty, member_id, paid_fen=100_000, paid_at=paid_at)
    await loyalty.call("complete_order", order_id=order_id, json={"completed_at": paid_at})
    reply = await loyalty.call(
        "redeem_points",
        member_id=member_id,
        json={"points": 1000, "purpose": "gift", "reference": "G-1"},
    )
    assert reply.status_code == 201
    assert (await points_of(loyalty, member_id))["available"] == 0
    assert (await wallet_of(loyalty, member_id))["tier"]["growth"] == 1000


async def test_growth_leaves_the_window_after_a_year_and_the_tier_stays(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    await place(loyalty, member_id, paid_fen=100_000)
    # The window begins at midnight in Shanghai a year before; the order was paid at noon.
    loyalty.clock.at = datetime(2027, 11, 23, 15, 59, 59, tzinfo=UTC)
    assert (await wallet_of(loyalty, member_id))["tier"]["growth"] == 1000
    loyalty.clock.advance(timedelta(seconds=1))
    tier = (await wallet_of(loyalty, member_id))["tier"]
    assert (tier["code"], tier["growth"], tier["keep_needed"]) == ("silver", 0, 1000)
    late = await loyalty.call(
        "record_order",
        json=order_of(member_id, paid_fen=50_000, paid_at="2027-11-24T00:00:00+08:00"),
    )
    assert late.json()["tier"]["code"] == "silver"
    assert await loyalty.scalar("select growth from accounts") == 500


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 11, 23, 4, tzinfo=UTC),
        datetime(2028, 2, 29, 12, tzinfo=BUSINESS_ZONE),
        datetime(2028, 2, 28, 15, 59, 59, 999999, tzinfo=UTC),
        datetime(2028, 2, 28, 16, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 59, 59, tzinfo=BUSINESS_ZONE),
    ],
)
async def test_the_wallet_counts_growth_from_the_moment_that_orders_do(
    loyalty: ServiceUnderTest, now: datetime
) -> None:
    member_id = await enrol(loyalty)
    async with loyalty.database.reading() as session:
        programme = await current_programme(session, now=now)
    window = growth_window_start(programme, now=now)
    assert window is not None
    loyalty.clock.at = max(loyalty.clock.now(), window)
    for number, paid_at in enumerate((window, window - timedelta(microseconds=1))):
        await place(
            loyalty, member_id, paid_fen=100 * 7 ** (number + 1), paid_at=paid_at.isoformat()
        )
    loyalty.clock.at = now.astimezone(UTC)
    assert (await wallet_of(loyalty, member_id))["tier"]["growth"] == 7


async def test_without_a_window_all_growth_counts_for_ever(loyalty: ServiceUnderTest) -> None:
    async with loyalty.database.begin(actor="test") as transaction:
        connection = await transaction.session.connection()
        await connection.exec_driver_sql(
            "insert into programme_versions (version, rules, published_by, published_at)"
            " select version + 1, jsonb_set(rules, '{growth,window_months}', 'null'), 'test',"
            " '2026-01-01T00:00:00Z' from programme_versions"
        )
    member_id = await enrol(loyalty)
    await place(loyalty, member_id, paid_fen=100_000, paid_at="2016-02-29T12:00:00+08:00")
    assert (await wallet_of(loyalty, member_id))["tier"]["growth"] == 1000
    loyalty.clock.advance(timedelta(days=4_000))
    assert (await wallet_of(loyalty, member_id))["tier"]["growth"] == 1000


async def test_each_day_growth_is_counted_anew_before_an_order_is_decided(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    grown = []
    for days, fen in ((0, 40_000), (1, 30_000), (300, 20_000), (66, 10_000)):
        loyalty.clock.advance(timedelta(days=days))
        await place(loyalty, member_id, paid_fen=fen, paid_at=rfc3339(loyalty.clock.now()))
        (account,) = await loyalty.rows("select growth from accounts")
        grown.append(account.growth)
    # More than a year later, only the third of the others is in the window.
    assert grown == [400, 700, 900, 300]
