"""Points held, then captured or released, on real PostgreSQL."""

from datetime import timedelta
from functools import partial

import pytest

from services.loyalty.jobs import JOBS
from shared.jobs import run_due
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.moves import (
    NOTHING,
    adjust,
    capture,
    conserved,
    give,
    held,
    hold,
    insist,
    lots_of,
    publish,
    release,
    set_state,
)
from tests.integration.loyalty.people import (
    enrol,
    everything,
    points_of,
    redeem,
    types_of_events,
)
from tests.integration.loyalty.racing import ACCOUNTS, race
from tests.support.service import ServiceUnderTest, Starter

RELEASE_STALE = next(job for job in JOBS if job.name == "release_stale_holds")


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def member_with(loyalty: ServiceUnderTest, *lots: int) -> str:
    """Somebody with a lot per number given, each lapsing a month after the one before."""
    member_id = await enrol(loyalty)
    for points in lots:
        await give(loyalty, member_id, points)
        loyalty.clock.advance(timedelta(days=31))
    return member_id


async def end_well(loyalty: ServiceUnderTest) -> None:
    await audit(loyalty)
    await conserved(loyalty)


async def test_a_hold_reserves_points_until_it_is_captured(loyalty: ServiceUnderTest) -> None:
    member_id = await member_with(loyalty, 300)
    reply = await hold(loyalty, member_id, 100)
    assert reply.status_code == 201
    made = reply.json()
    assert (made["state"], made["points"], made["returned_points"]) == ("held", 100, 0)
    assert made["hold_expires_at"] == "2026-12-24T04:15:00Z", "15 minutes by default"
    assert made["balances"] == {**NOTHING, "available": 200, "held": 100}

    captured = await capture(loyalty, made["id"])

    assert captured.status_code == 200
    assert captured.json()["state"] == "redeemed"
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 200}
    assert (await types_of_events(loyalty))[-1] == "points.redeemed.v1"
    await end_well(loyalty)


async def test_what_is_held_cannot_be_spent_otherwise(loyalty: ServiceUnderTest) -> None:
    member_id = await member_with(loyalty, 100)
    await held(loyalty, member_id, 60)
    before = await everything(loyalty)
    assert (await redeem(loyalty, member_id, points=41)).json()["code"] == "insufficient_points"
    assert (await hold(loyalty, member_id, 41, reference="G-2")).status_code == 409
    assert (await adjust(loyalty, member_id, -41)).status_code == 409
    assert await everything(loyalty) == before


async def test_a_released_hold_leaves_the_lots_as_they_were(loyalty: ServiceUnderTest) -> None:
    member_id = await member_with(loyalty, 100, 200)
    lots = await lots_of(loyalty, member_id)
    redemption_id = await held(loyalty, member_id, 250)
    reply = await release(loyalty, redemption_id)
    assert (reply.json()["state"], reply.json()["returned_points"]) == ("released", 250)
    assert await lots_of(loyalty, member_id) == lots
    await end_well(loyalty)


async def test_capturing_a_part_leaves_the_lots_as_if_only_that_had_been_spent(
    loyalty: ServiceUnderTest,
) -> None:
    one, other = await member_with(loyalty, 100, 200, 300), await enrol(loyalty)
    reply = await capture(loyalty, await held(loyalty, one, 500), 150)
    assert (reply.json()["points"], reply.json()["returned_points"]) == (500, 350)
    assert [lot[1:3] for lot in await lots_of(loyalty, one)] == [
        ("closed", 0), ("available", 150), ("available", 300),
    ]  # fmt: skip
    assert await points_of(loyalty, one) == {**NOTHING, "available": 450}
    assert await points_of(loyalty, other) == NOTHING
    assert (await types_of_events(loyalty))[-2:] == ["points.redeemed.v1", "points.restored.v1"]
    await end_well(loyalty)


async def test_more_than_is_held_cannot_be_captured(loyalty: ServiceUnderTest) -> None:
    redemption_id = await held(loyalty, await member_with(loyalty, 300), 100)
    before = await everything(loyalty)
    reply = await capture(loyalty, redemption_id, 101)
    assert (reply.status_code, reply.json()["code"]) == (409, "capture_exceeds_hold")
    assert await everything(loyalty) == before


async def test_a_hold_past_its_time_cannot_be_captured_whether_or_not_the_job_has_come_by(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 100)
    redemption_id = await held(loyalty, member_id, 100, minutes=1)
    ends = loyalty.clock.now() + timedelta(minutes=1)
    loyalty.clock.at = ends
    before = await everything(loyalty)
    early = await capture(loyalty, redemption_id)
    assert (early.status_code, early.json()["code"]) == (409, "hold_expired")
    assert await everything(loyalty) == before

    loyalty.clock.advance(timedelta(hours=3))
    assert await run_due(RELEASE_STALE, database=loyalty.database) == 1
    late = await capture(loyalty, redemption_id)
    assert (late.status_code, late.json()["code"]) == (409, "hold_expired")
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 100}
    row = (await loyalty.rows("select * from redemptions"))[0]
    assert (row.state, row.closed_at, row.returned_points) == ("released", ends, 100)
    assert await loyalty.scalar("select max(occurred_at) from point_entries") == ends
    await end_well(loyalty)


async def test_a_hold_can_be_captured_until_the_last_microsecond(loyalty: ServiceUnderTest) -> None:
    redemption_id = await held(loyalty, await member_with(loyalty, 100), 100, minutes=1)
    loyalty.clock.advance(timedelta(minutes=1) - timedelta(microseconds=1))
    assert await run_due(RELEASE_STALE, database=loyalty.database) == 0
    assert (await capture(loyalty, redemption_id)).status_code == 200


async def test_the_job_says_when_it_is_next_due_and_releases_only_what_is_over(
    loyalty: ServiceUnderTest,
) -> None:
    members = [await member_with(loyalty, 100) for _ in range(3)]
    for minutes, member_id in enumerate(members, start=1):
        await held(loyalty, member_id, 30, minutes=minutes, reference="A")
        await held(loyalty, member_id, 30, minutes=minutes, reference="B")
    now = loyalty.clock.now()
    assert RELEASE_STALE.next_due is not None
    async with loyalty.database.reading() as session:
        assert await RELEASE_STALE.next_due(session, now) == now + timedelta(minutes=1)
        later = now + timedelta(minutes=2)
        assert await RELEASE_STALE.next_due(session, later) == now + timedelta(minutes=3)
        assert await RELEASE_STALE.next_due(session, now + timedelta(minutes=3)) is None
    loyalty.clock.advance(timedelta(minutes=2))
    assert await run_due(RELEASE_STALE, database=loyalty.database) == 4
    assert [(await points_of(loyalty, one))["held"] for one in members] == [0, 0, 60]
    await end_well(loyalty)


async def test_the_job_passes_by_a_member_whom_somebody_else_is_at(
    loyalty: ServiceUnderTest,
) -> None:
    await held(loyalty, await member_with(loyalty, 100), 100)
    loyalty.clock.advance(timedelta(minutes=15))
    async with loyalty.database.begin(actor="test") as other:
        locked = await other.session.connection()
        await locked.exec_driver_sql("select * from accounts for update")
        assert await run_due(RELEASE_STALE, database=loyalty.database) == 0
    assert await run_due(RELEASE_STALE, database=loyalty.database) == 1


async def test_what_the_checkout_holds_is_neither_captured_nor_released_nor_swept_here(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 1_000)
    reply = await loyalty.call(
        "reserve_checkout",
        json={
            "member_id": member_id,
            "items": [{"sku": "SERUM-30ML", "quantity": 1, "amount_fen": 25_900}],
            "points": 500,
        },
    )
    assert reply.status_code == 201, reply.text
    redemption_id = await loyalty.scalar("select redemption_id from reservations")
    before = await everything(loyalty)
    for refused in (
        await capture(loyalty, redemption_id),
        await release(loyalty, redemption_id),
        await loyalty.call("cancel_redemption", redemption_id=redemption_id),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "redemption_of_checkout")
    loyalty.clock.advance(timedelta(hours=1))
    assert await run_due(RELEASE_STALE, database=loyalty.database) == 0
    assert await everything(loyalty) == before

    stale = next(job for job in JOBS if job.name == "release_stale_reservations")
    assert await run_due(stale, database=loyalty.database) == 1
    assert await loyalty.scalar("select returned_points from redemptions") == 500
    await end_well(loyalty)


async def test_a_hold_that_only_calls_itself_checkout_is_an_ordinary_one(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 100)
    reply = await loyalty.call(
        "hold_points",
        member_id=member_id,
        json={"points": 100, "purpose": "checkout", "reference": "rsv_" + "0" * 26},
    )
    assert (await release(loyalty, reply.json()["id"])).status_code == 200


async def test_holding_again_for_the_same_answers_with_the_hold_there_is(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 100, 200)
    first = await hold(loyalty, member_id, 250)
    before = await everything(loyalty)
    again = await hold(loyalty, member_id, 250, minutes=60)
    assert (again.status_code, again.content) == (200, first.content)
    other = await hold(loyalty, member_id, 50)
    assert (other.status_code, other.json()["code"]) == (409, "already_held")
    assert await everything(loyalty) == before

    loyalty.clock.advance(timedelta(minutes=15))
    anew = await hold(loyalty, member_id, 250)
    assert anew.status_code == 201, "the first has run out, though no job has come by"
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 50, "held": 250}
    await capture(loyalty, anew.json()["id"])
    assert (await hold(loyalty, member_id, 50)).status_code == 201
    await end_well(loyalty)


async def test_captured_or_released_once_more_changes_nothing_and_answers_alike(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 300)
    one, other = (
        await held(loyalty, member_id, 100, reference="A"),
        await held(loyalty, member_id, 100, reference="B"),
    )
    captured, released = await capture(loyalty, one, 60), await release(loyalty, other)
    before = await everything(loyalty)
    loyalty.clock.advance(timedelta(seconds=1))
    assert (await capture(loyalty, one, 60)).content == captured.content
    assert (await release(loyalty, other)).content == released.content
    for refused in (
        await capture(loyalty, one),
        await capture(loyalty, one, 40),
        await release(loyalty, one),
        await capture(loyalty, other),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "redemption_closed")
    assert await everything(loyalty) == before


async def test_a_redemption_that_was_no_hold_is_neither_captured_nor_released(
    loyalty: ServiceUnderTest,
) -> None:
    spent = (await redeem(loyalty, await member_with(loyalty, 100), points=100)).json()["id"]
    before = await everything(loyalty)
    assert (await capture(loyalty, spent)).json()["code"] == "redemption_closed"
    assert (await release(loyalty, spent)).json()["code"] == "redemption_closed"
    assert await everything(loyalty) == before


async def test_what_an_erased_member_holds_is_not_spent_but_goes_back(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 100)
    redemption_id = await held(loyalty, member_id, 60)
    await set_state(loyalty, member_id, state="erased")
    before = await everything(loyalty)
    reply = await capture(loyalty, redemption_id)
    assert (reply.status_code, reply.json()["code"]) == (404, "member_not_found")
    assert (await hold(loyalty, member_id, 1)).status_code == 404
    assert await everything(loyalty) == before
    loyalty.clock.advance(timedelta(hours=1))
    assert await run_due(RELEASE_STALE, database=loyalty.database) == 1
    await end_well(loyalty)


async def test_the_programme_says_how_long_a_hold_lasts(loyalty: ServiceUnderTest) -> None:
    member_id = await member_with(loyalty, 100)
    await publish(loyalty, redeem={"hold_minutes": 90})
    made = (await hold(loyalty, member_id, 1)).json()
    assert made["hold_expires_at"] == "2026-12-24T05:30:00Z"
    week = await hold(loyalty, member_id, 1, reference="W", minutes=7 * 1440)
    assert week.json()["hold_expires_at"] == "2026-12-31T04:00:00Z"
    for minutes in (0, -1, 7 * 1440 + 1, 1.5, "9", True):
        refused = await hold(loyalty, member_id, 1, reference="N", minutes=minutes)
        assert refused.json()["errors"][0]["pointer"] == "/minutes"


async def test_of_100_simultaneous_holds_exactly_what_fits_is_held(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 100, 30)
    calls = [insist(partial(hold, loyalty, member_id, 25, reference=f"G-{n}")) for n in range(100)]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=10)
    assert sorted(reply.status_code for reply in replies) == [201] * 5 + [409] * 95
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 5, "held": 125}
    await end_well(loyalty)


async def test_100_simultaneous_holds_for_the_same_are_one_hold(loyalty: ServiceUnderTest) -> None:
    member_id = await member_with(loyalty, 1_000)
    calls = [insist(partial(hold, loyalty, member_id, 10)) for _ in range(100)]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=10)
    assert sorted(reply.status_code for reply in replies) == [200] * 99 + [201]
    assert len({reply.content for reply in replies}) == 1
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 990, "held": 10}


async def test_of_100_simultaneous_captures_and_releases_one_kind_wins_and_counts_once(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 100)
    redemption_id = await held(loyalty, member_id, 80)
    calls = [
        insist(call)
        for call in [
            partial(capture, loyalty, redemption_id, 50),
            partial(release, loyalty, redemption_id),
        ]
        * 50
    ]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=10)
    assert sorted(reply.status_code for reply in replies) == [200] * 50 + [409] * 50
    state = await loyalty.scalar("select state from redemptions")
    left = {"redeemed": 50, "released": 100}[state]
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": left}
    await end_well(loyalty)


async def test_the_event_of_a_capture_tells_what_was_spent_and_not_what_was_held(
    loyalty: ServiceUnderTest,
) -> None:
    await capture(loyalty, await held(loyalty, await member_with(loyalty, 100), 100), 30)
    told = await loyalty.rows(
        "select data from outbox where type in ('points.redeemed.v1', 'points.restored.v1')"
        " order by id"
    )
    assert [one.data["points"] for one in told] == [30, 70]


async def test_one_reference_may_be_held_for_by_two_purposes(loyalty: ServiceUnderTest) -> None:
    member_id = await member_with(loyalty, 100)
    for_gift = await held(loyalty, member_id, 10)
    other = {"points": 10, "purpose": "lottery", "reference": "G-1"}
    reply = await loyalty.call("hold_points", member_id=member_id, json=other)
    assert (reply.status_code, reply.json()["id"] == for_gift) == (201, False)
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 80, "held": 20}


async def test_a_new_hold_ends_a_checkout_past_its_time_and_not_only_its_points(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await member_with(loyalty, 1_000)
    line = {"sku": "TEA-250", "quantity": 1, "amount_fen": 10_000}
    body = {"member_id": member_id, "items": [line], "points": 200}
    reserved = (await loyalty.call("reserve_checkout", json=body)).json()
    loyalty.clock.advance(timedelta(hours=1))
    await held(loyalty, member_id, 100)
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 900, "held": 100}
    shown = await loyalty.call("show_reservation", reservation_id=reserved["id"])
    assert shown.json()["state"] == "expired"
    await end_well(loyalty)
