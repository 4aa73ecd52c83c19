"""Points given to other members, on real PostgreSQL."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.pool import QueuePool

from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.members_world import merge
from tests.integration.loyalty.moves import (
    NOTHING,
    conserved,
    give,
    insist,
    lots_of,
    publish,
    set_state,
    transfer,
)
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    place,
    points_of,
    redeem,
    refund,
)
from tests.integration.loyalty.racing import ACCOUNTS, race
from tests.support.service import ServiceUnderTest, Starter


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def member_with(loyalty: ServiceUnderTest, *lots: int) -> str:
    member_id = await enrol(loyalty)
    for points in lots:
        await give(loyalty, member_id, points)
        loyalty.clock.advance(timedelta(days=31))
    return member_id


async def end_well(loyalty: ServiceUnderTest) -> None:
    await audit(loyalty)
    await conserved(loyalty)


async def refused(
    loyalty: ServiceUnderTest, sender: str, receiver: str, points: int
) -> tuple[int, str]:
    """The status and code of a transfer that changes nothing."""
    before = await everything(loyalty)
    reply = await transfer(loyalty, sender, receiver, points)
    assert await everything(loyalty) == before
    return reply.status_code, str(reply.json()["code"])


async def test_points_change_hands_and_keep_the_day_on_which_they_lapse(
    loyalty: ServiceUnderTest,
) -> None:
    sender, receiver = await member_with(loyalty, 100, 200, 300), await enrol(loyalty)
    lots = await lots_of(loyalty, sender)

    reply = await transfer(loyalty, sender, receiver, 250)

    assert reply.status_code == 201
    made = reply.json()
    assert (made["member_id"], made["to_member_id"], made["points"]) == (sender, receiver, 250)
    assert made["balances"] == {**NOTHING, "available": 350}
    assert [part["points"] for part in made["lots"]] == [-100, -150]
    assert [lot[1:3] for lot in await lots_of(loyalty, sender)] == [
        ("closed", 0), ("available", 50), ("available", 300),
    ]  # fmt: skip
    received = await lots_of(loyalty, receiver)
    assert [lot[1:] for lot in received] == [
        ("available", 100, lots[0][3]), ("available", 150, lots[1][3]),
    ]  # fmt: skip
    shown = await loyalty.call("show_transfer", transfer_id=made["id"])
    assert shown.json() == {k: v for k, v in made.items() if k not in ("balances", "lots")}
    events = await loyalty.rows("select subject, data from outbox order by id desc limit 2")
    assert [(one.subject, one.data["direction"]) for one in events] == [
        (receiver, "received"), (sender, "sent"),
    ]  # fmt: skip
    assert (await redeem(loyalty, receiver, points=250)).status_code == 201
    await end_well(loyalty)


async def test_what_is_received_repays_debt_first(loyalty: ServiceUnderTest) -> None:
    sender, receiver = await member_with(loyalty, 50, 60), await enrol(loyalty)
    order_id = await place(loyalty, receiver, paid_fen=10_000)
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=7))
    await redeem(loyalty, receiver, points=80)
    await refund(loyalty, order_id, amount_fen=10_000)
    await transfer(loyalty, sender, receiver, 110)
    assert await points_of(loyalty, receiver) == {**NOTHING, "available": 30}
    await end_well(loyalty)


async def test_received_points_are_not_passed_on_before_they_have_cooled(
    loyalty: ServiceUnderTest,
) -> None:
    one, other = await member_with(loyalty, 100), await member_with(loyalty, 30)
    await transfer(loyalty, one, other, 100)
    assert await refused(loyalty, other, one, 31) == (409, "points_cooling")
    assert (await transfer(loyalty, other, one, 30)).status_code == 201, "its own points"
    loyalty.clock.advance(timedelta(hours=24) - timedelta(microseconds=1))
    assert await refused(loyalty, other, one, 1) == (409, "points_cooling")
    loyalty.clock.advance(timedelta(microseconds=1))
    assert (await transfer(loyalty, other, one, 100)).status_code == 201
    await end_well(loyalty)


async def test_a_member_sends_so_many_points_a_business_day_and_no_more(
    loyalty: ServiceUnderTest,
) -> None:
    sender, receiver = await member_with(loyalty, 9_000), await enrol(loyalty)
    loyalty.clock.at = datetime(2026, 12, 24, 15, 59, tzinfo=UTC)  # 23:59 in Shanghai
    assert (await transfer(loyalty, sender, receiver, 3_000)).status_code == 201
    assert await refused(loyalty, sender, receiver, 2_001) == (409, "transfer_limit_reached")
    assert (await transfer(loyalty, sender, receiver, 2_000)).status_code == 201
    assert await refused(loyalty, sender, receiver, 1) == (409, "transfer_limit_reached")
    loyalty.clock.advance(timedelta(minutes=1))
    assert (await transfer(loyalty, sender, receiver, 2_001)).status_code == 201
    await end_well(loyalty)


async def test_a_merge_gives_nobody_another_limit_on_the_same_day(
    loyalty: ServiceUnderTest,
) -> None:
    one, other, third = [await enrol(loyalty) for _ in range(3)]
    receiver = await enrol(loyalty)
    await give(loyalty, one, 10_000)
    assert (await transfer(loyalty, one, receiver, 5_000)).status_code == 201
    await merge(loyalty, other, one)
    assert await refused(loyalty, other, receiver, 1) == (409, "transfer_limit_reached")
    await merge(loyalty, third, other)
    assert await refused(loyalty, third, receiver, 1) == (409, "transfer_limit_reached")
    loyalty.clock.advance(timedelta(days=1))
    assert (await transfer(loyalty, third, receiver, 5_000)).status_code == 201
    await end_well(loyalty)


async def test_a_member_sends_so_many_transfers_a_day(loyalty: ServiceUnderTest) -> None:
    sender, receiver = await member_with(loyalty, 100), await enrol(loyalty)
    for _ in range(10):
        assert (await transfer(loyalty, sender, receiver, 1)).status_code == 201
    assert await refused(loyalty, sender, receiver, 1) == (409, "transfer_count_reached")


async def test_the_programme_sets_the_limits(loyalty: ServiceUnderTest) -> None:
    sender, receiver = await member_with(loyalty, 100), await member_with(loyalty, 100)
    await publish(loyalty, transfer={"least": 20, "daily_limit": 60, "cooling_hours": 0})
    assert await refused(loyalty, sender, receiver, 19) == (409, "transfer_too_small")
    assert await refused(loyalty, sender, receiver, 61) == (409, "transfer_limit_reached")
    assert (await transfer(loyalty, sender, receiver, 60)).status_code == 201
    await publish(loyalty, transfer={"daily_limit": 200})
    assert (await transfer(loyalty, receiver, sender, 160)).status_code == 201
    await publish(loyalty, transfer={"enabled": False})
    assert await refused(loyalty, sender, receiver, 20) == (409, "transfers_disabled")
    await end_well(loyalty)


async def test_more_than_is_available_is_not_transferred(loyalty: ServiceUnderTest) -> None:
    sender, receiver = await member_with(loyalty, 100), await enrol(loyalty)
    assert await refused(loyalty, sender, receiver, 101) == (409, "insufficient_points")


async def test_both_must_be_members_and_not_the_same(loyalty: ServiceUnderTest) -> None:
    sender, other = await member_with(loyalty, 100), await enrol(loyalty)
    nobody = "mem_" + "0" * 26
    assert await refused(loyalty, sender, sender, 1) == (422, "transfer_to_self")
    assert await refused(loyalty, sender, nobody, 1) == (404, "recipient_not_found")
    assert await refused(loyalty, nobody, sender, 1) == (404, "member_not_found")
    await set_state(loyalty, other, state="erased")
    assert await refused(loyalty, sender, other, 1) == (404, "recipient_not_found")
    assert await refused(loyalty, other, sender, 1) == (404, "member_not_found")
    await set_state(loyalty, other, state="merged", merged_into=sender)
    assert await refused(loyalty, sender, other, 1) == (409, "recipient_merged")
    assert await refused(loyalty, other, sender, 1) == (409, "member_merged")


async def test_of_100_simultaneous_transfers_exactly_what_the_day_allows_arrives(
    loyalty: ServiceUnderTest,
) -> None:
    sender, receiver = await member_with(loyalty, 10_000), await enrol(loyalty)
    await publish(loyalty, transfer={"daily_count": 1_000})
    calls = [insist(partial(transfer, loyalty, sender, receiver, 700)) for _ in range(100)]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=10)
    assert sorted(reply.status_code for reply in replies) == [201] * 7 + [409] * 93
    assert (await points_of(loyalty, receiver))["available"] == 4_900
    await end_well(loyalty)


async def test_of_simultaneous_transfers_exactly_what_is_there_arrives(
    loyalty: ServiceUnderTest,
) -> None:
    sender, receiver = await member_with(loyalty, 50, 55), await enrol(loyalty)
    calls = [insist(partial(transfer, loyalty, sender, receiver, 20)) for _ in range(40)]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=10)
    assert sorted(reply.status_code for reply in replies) == [201] * 5 + [409] * 35
    assert (await points_of(loyalty, sender))["available"] == 5
    await end_well(loyalty)


async def test_opposite_transfers_at_once_never_stand_in_each_others_way(
    loyalty: ServiceUnderTest,
) -> None:
    one, other = await member_with(loyalty, 1_000), await member_with(loyalty, 1_000)
    deadlocks = await deadlocks_so_far(loyalty)
    calls = [
        insist(call)
        for call in [
            partial(transfer, loyalty, one, other, 7),
            partial(transfer, loyalty, other, one, 9),
        ]
        * 10
    ]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=10)
    assert {reply.status_code for reply in replies} == {201}
    assert (await points_of(loyalty, one))["available"] == 1_000 - 70 + 90
    assert (await points_of(loyalty, other))["available"] == 1_000 + 70 - 90
    assert await deadlocks_so_far(loyalty) == deadlocks
    await end_well(loyalty)


async def deadlocks_so_far(loyalty: ServiceUnderTest) -> int:
    """How many deadlocks PostgreSQL has broken in this database.

    Each connection counts for itself and tells the others when it finds the time, or is told to.
    """
    pool = loyalty.database.engine.pool
    assert isinstance(pool, QueuePool)
    async with AsyncExitStack() as stack:
        for _ in range(pool.size() - pool.checkedout()):
            connection = await stack.enter_async_context(loyalty.database.engine.connect())
            await connection.execute(text("select pg_stat_force_next_flush()"))
    found = await loyalty.scalar(
        "select pg_stat_get_db_deadlocks(oid) from pg_database where datname = current_database()"
    )
    return int(found)


async def test_points_that_change_hands_keep_the_rules_that_made_them(
    loyalty: ServiceUnderTest,
) -> None:
    sender, receiver = await member_with(loyalty, 100), await enrol(loyalty)
    await publish(loyalty, transfer={"least": 2})
    await transfer(loyalty, sender, receiver, 100)
    versions = "select programme_version from {} where member_id = :id"
    lots = await loyalty.rows(versions.format("point_lots"), id=receiver)
    entries = await loyalty.rows(versions.format("point_entries"), id=receiver)
    assert ([one[0] for one in lots], [one[0] for one in entries]) == ([1], [2])


async def test_why_points_were_given_stands_in_the_statements_of_both(
    loyalty: ServiceUnderTest,
) -> None:
    sender, receiver = await member_with(loyalty, 100), await enrol(loyalty)
    gift = {"to_member_id": receiver, "points": 10, "reason": "生日快乐"}
    await loyalty.call("transfer_points", member_id=sender, json=gift)
    for member_id in (sender, receiver):
        shown = await loyalty.call("list_point_entries", member_id=member_id)
        assert shown.json()["data"][0]["reason"] == "生日快乐"


async def test_who_would_send_too_much_is_told_what_is_left_of_the_day(
    loyalty: ServiceUnderTest,
) -> None:
    sender, receiver = await member_with(loyalty, 9_000), await enrol(loyalty)
    await transfer(loyalty, sender, receiver, 3_000)
    reply = await transfer(loyalty, sender, receiver, 2_001)
    assert "2000" in reply.json()["detail"].replace(",", "")


async def test_what_the_receiver_had_due_repays_their_debt_before_what_is_received(
    loyalty: ServiceUnderTest,
) -> None:
    sender, receiver = await member_with(loyalty, 50), await enrol(loyalty)
    order_id = await place(loyalty, receiver, paid_fen=10_000)
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=7))
    await redeem(loyalty, receiver, points=80)
    await refund(loyalty, order_id, amount_fen=10_000)
    await complete(loyalty, await place(loyalty, receiver, paid_fen=9_000))
    loyalty.clock.advance(timedelta(days=7))
    await transfer(loyalty, sender, receiver, 50)
    left = await loyalty.rows(
        "select cause_kind, remaining from point_lots where member_id = :id and remaining > 0"
        " order by remaining",
        id=receiver,
    )
    assert [tuple(lot) for lot in left] == [("order", 10), ("transfer", 50)]
    await end_well(loyalty)
