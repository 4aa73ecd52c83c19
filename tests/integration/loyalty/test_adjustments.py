"""Points that operators give and take, large ones by two people, on real PostgreSQL."""

from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest

from shared.http.tokens import Principal
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.moves import (
    NOTHING,
    SECOND,
    adjust,
    conserved,
    decide,
    give,
    insist,
    lots_of,
    publish,
)
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    place,
    points_of,
    redeem,
    refund,
    types_of_events,
)
from tests.integration.loyalty.racing import ACCOUNTS, race
from tests.support.service import MANAGER, ServiceUnderTest, Starter


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def end_well(loyalty: ServiceUnderTest) -> None:
    await audit(loyalty)
    await conserved(loyalty)


async def waiting(loyalty: ServiceUnderTest, member_id: str, points: int = 10_001) -> str:
    """An adjustment that waits for a second person."""
    reply = await adjust(loyalty, member_id, points)
    assert reply.status_code == 202, reply.text
    return str(reply.json()["id"])


def outcome(reply: httpx.Response) -> tuple[int, str]:
    answer = reply.json()
    return reply.status_code, str(answer.get("code") or answer["state"])


async def test_points_given_are_usable_at_once_and_lapse_as_the_programme_says(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    reply = await adjust(loyalty, member_id, 10_000)
    assert outcome(reply) == (201, "applied")
    assert (reply.json()["requested_by"], reply.json()["decided_by"]) == (MANAGER.actor, None)
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 10_000}
    lapses = datetime(2027, 11, 30, 16, tzinfo=UTC)
    assert [lot[1:] for lot in await lots_of(loyalty, member_id)] == [("available", 10_000, lapses)]
    line = (await loyalty.call("list_point_entries", member_id=member_id)).json()["data"][0]
    assert (line["kind"], line["points"], line["reason"]) == ("adjusted", 10_000, "补偿：包裹延误")
    assert line["cause"] == {"kind": "adjustment", "id": reply.json()["id"]}
    assert await loyalty.scalar("select actor from point_entries") == MANAGER.actor
    assert (await types_of_events(loyalty))[-1] == "points.adjusted.v1"
    assert (await redeem(loyalty, member_id, points=10_000)).status_code == 201
    await end_well(loyalty)


async def test_points_are_taken_from_what_lapses_soonest_and_never_beyond_it(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    await give(loyalty, member_id, 100)
    loyalty.clock.advance(timedelta(days=31))
    await give(loyalty, member_id, 100)
    assert outcome(await adjust(loyalty, member_id, -150)) == (201, "applied")
    assert [lot[2] for lot in await lots_of(loyalty, member_id)] == [0, 50]
    before = await everything(loyalty)
    assert outcome(await adjust(loyalty, member_id, -51)) == (409, "insufficient_points")
    assert await everything(loyalty) == before
    await end_well(loyalty)


async def test_points_given_repay_debt_first(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=7))
    await redeem(loyalty, member_id, points=80)
    await refund(loyalty, order_id, amount_fen=10_000)
    await adjust(loyalty, member_id, 100)
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 20}
    await end_well(loyalty)


async def test_above_the_limit_nothing_moves_until_a_second_person_approves(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    adjustment_id = await waiting(loyalty, member_id)
    assert await points_of(loyalty, member_id) == NOTHING
    assert (await types_of_events(loyalty))[-1] == "adjustment.requested.v1"
    loyalty.clock.advance(timedelta(days=40))

    reply = await decide(loyalty, adjustment_id, "approve")

    assert outcome(reply) == (200, "applied")
    assert (reply.json()["requested_by"], reply.json()["decided_by"]) == (
        MANAGER.actor, SECOND.actor,
    )  # fmt: skip
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 10_001}
    assert (await lots_of(loyalty, member_id))[0][3] == datetime(2028, 1, 31, 16, tzinfo=UTC)
    assert await loyalty.scalar("select actor from point_entries") == SECOND.actor
    assert (await types_of_events(loyalty))[-1] == "points.adjusted.v1"
    await end_well(loyalty)


async def test_who_asks_cannot_decide(loyalty: ServiceUnderTest) -> None:
    adjustment_id = await waiting(loyalty, await enrol(loyalty))
    before = await everything(loyalty)
    for decision in ("approve", "reject"):
        reply = await decide(loyalty, adjustment_id, decision, principal=MANAGER)
        assert outcome(reply) == (403, "second_person_needed")
    assert await everything(loyalty) == before


async def test_what_is_rejected_never_moves(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    adjustment_id = await waiting(loyalty, member_id)
    assert outcome(await decide(loyalty, adjustment_id, "reject")) == (200, "rejected")
    assert (await types_of_events(loyalty))[-1] == "adjustment.rejected.v1"
    before = await everything(loyalty)
    assert outcome(await decide(loyalty, adjustment_id, "approve")) == (409, "adjustment_decided")
    assert await everything(loyalty) == before
    assert await points_of(loyalty, member_id) == NOTHING


async def test_a_decision_counts_once(loyalty: ServiceUnderTest) -> None:
    adjustment_id = await waiting(loyalty, await enrol(loyalty))
    first = await decide(loyalty, adjustment_id, "approve")
    before = await everything(loyalty)
    again = await decide(loyalty, adjustment_id, "approve")
    assert (again.status_code, again.content) == (200, first.content)
    third = Principal(kind="api_key", id="thirdkey")
    late = await decide(loyalty, adjustment_id, "approve", principal=third)
    assert outcome(late) == (409, "adjustment_decided")
    assert outcome(await decide(loyalty, adjustment_id, "reject")) == (409, "adjustment_decided")
    assert await everything(loyalty) == before


async def test_an_adjustment_made_at_once_needs_no_decision(loyalty: ServiceUnderTest) -> None:
    made = (await adjust(loyalty, await enrol(loyalty), 5)).json()
    assert outcome(await decide(loyalty, made["id"], "approve")) == (409, "adjustment_decided")


async def test_100_simultaneous_decisions_move_the_points_once(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    adjustment_id = await waiting(loyalty, member_id)
    calls = [
        insist(partial(decide, loyalty, adjustment_id, decision))
        for decision in ["approve", "reject"] * 50
    ]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=10)
    assert sorted(reply.status_code for reply in replies) == [200] * 50 + [409] * 50
    state = await loyalty.scalar("select state from adjustments")
    gained = {"applied": 10_001, "rejected": 0}[state]
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": gained}
    await end_well(loyalty)


async def test_an_approval_that_cannot_be_carried_out_leaves_it_waiting(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    adjustment_id = await waiting(loyalty, member_id, -10_001)
    before = await everything(loyalty)
    assert outcome(await decide(loyalty, adjustment_id, "approve")) == (409, "insufficient_points")
    assert await everything(loyalty) == before
    assert outcome(await decide(loyalty, adjustment_id, "reject")) == (200, "rejected")


async def test_splitting_and_going_back_and_forth_do_not_get_around_the_limit(
    loyalty: ServiceUnderTest,
) -> None:
    member_id, other = await enrol(loyalty), await enrol(loyalty)
    loyalty.clock.at = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)  # 23:00 in Shanghai
    assert (await adjust(loyalty, member_id, 6_000)).status_code == 201
    assert (await adjust(loyalty, member_id, -3_000)).status_code == 201
    adjustment_id = await waiting(loyalty, member_id, 1_001)
    await waiting(loyalty, member_id, -1_001)
    assert (await adjust(loyalty, member_id, 1_000)).status_code == 201
    assert (await adjust(loyalty, other, 10_000)).status_code == 201, "another member"
    assert (await adjust(loyalty, member_id, 9_000, principal=SECOND)).status_code == 201
    await decide(loyalty, adjustment_id, "approve")
    await waiting(loyalty, member_id, 1)
    loyalty.clock.advance(timedelta(hours=1))
    assert (await adjust(loyalty, member_id, 10_000)).status_code == 201, "another day"
    await end_well(loyalty)


async def test_of_simultaneous_adjustments_exactly_what_one_may_do_alone_is_applied(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    calls = [insist(partial(adjust, loyalty, member_id, 3_000)) for _ in range(40)]
    replies = await race(loyalty, *calls, at=ACCOUNTS, meeting=10)
    assert sorted(reply.status_code for reply in replies) == [201] * 3 + [202] * 37
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 9_000}
    await end_well(loyalty)


async def test_the_programme_sets_the_limit(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    await publish(loyalty, adjustment={"approval_above": 0})
    await waiting(loyalty, member_id, 1)


async def test_adjustments_are_listed_newest_first_by_state_and_member(
    loyalty: ServiceUnderTest,
) -> None:
    member_id, other = await enrol(loyalty), await enrol(loyalty)
    made = []
    for points in (1, 10_001, 2, 10_002):
        loyalty.clock.advance(timedelta(seconds=1))
        made.append((await adjust(loyalty, member_id, points)).json())
    loyalty.clock.advance(timedelta(seconds=1))
    made.append((await adjust(loyalty, other, 10_003)).json())

    async def listed(**params: object) -> list[int]:
        found: list[int] = []
        cursor = None
        while True:
            query = {"limit": 2, **params, **({"cursor": cursor} if cursor else {})}
            page = (await loyalty.call("list_adjustments", params=query)).json()
            found += [one["points"] for one in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    assert await listed() == [10_003, 10_002, 2, 10_001, 1]
    assert await listed(state="awaiting_approval") == [10_003, 10_002, 10_001]
    assert await listed(state="applied", member_id=member_id) == [2, 1]
    assert await listed(state="rejected") == []
    shown = await loyalty.call("show_adjustment", adjustment_id=made[1]["id"])
    assert shown.json() == made[1]
    bad = await loyalty.call("list_adjustments", params={"state": "lost"})
    assert bad.status_code == 422
    nothing = await loyalty.call("show_adjustment", adjustment_id="adj_" + "0" * 26)
    assert nothing.status_code == 404


@pytest.mark.parametrize("points", [0, 10_000_001, -10_000_001, 2**63, 1.5, "1", True, None])
async def test_points_that_cannot_be_adjusted_are_refused(
    loyalty: ServiceUnderTest, points: object
) -> None:
    member_id = await enrol(loyalty)
    before = await everything(loyalty)
    reply = await adjust(loyalty, member_id, points)
    assert reply.json()["errors"][0]["pointer"] == "/points"
    assert await everything(loyalty) == before


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201, "a\nb", None, 5])
async def test_an_adjustment_needs_a_reason(loyalty: ServiceUnderTest, reason: object) -> None:
    reply = await adjust(loyalty, await enrol(loyalty), 1, reason=reason)
    assert reply.json()["errors"][0]["pointer"] == "/reason"


async def test_what_a_second_person_approved_does_not_count_as_done_alone(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    await decide(loyalty, await waiting(loyalty, member_id), "approve")
    assert outcome(await adjust(loyalty, member_id, 10_000)) == (201, "applied")


async def test_the_statement_says_why_what_was_approved_was_asked_for(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    await decide(loyalty, await waiting(loyalty, member_id), "approve")
    shown = await loyalty.call("list_point_entries", member_id=member_id)
    assert shown.json()["data"][0]["reason"] == "补偿：包裹延误"
