"""Lots through the service's door: listed, extended, and lapsed points given back."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.lots_world import (
    ANNOUNCE,
    DAY,
    EXPIRE,
    LOT_JOBS,
    announced,
    deliver,
    extensions,
    lots_of,
    nothing_lapsed_unheard,
    publish,
    run,
    schedule_of,
    shanghai,
    with_points,
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
from tests.support.service import ServiceUnderTest, Starter

NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def extend(loyalty: ServiceUnderTest, member_id: str, **given: Any) -> httpx.Response:
    body = {"expires_at": "2028-03-01T00:00:00+08:00", "reason": "门店装修补偿", **given}
    return await loyalty.call("extend_lots", member_id=member_id, json=body)


async def reinstate(
    loyalty: ServiceUnderTest, member_id: str, lot_id: str, **given: Any
) -> httpx.Response:
    body = {"lot_id": lot_id, "reason": "住院期间未能使用", **given}
    return await loyalty.call("reinstate_points", member_id=member_id, json=body)


async def all_records(loyalty: ServiceUnderTest) -> list[Any]:
    kept = await loyalty.rows("select to_json(t)::text from expiry_extensions t")
    return [*await everything(loyalty), kept]


async def with_lapsed(loyalty: ServiceUnderTest) -> tuple[str, str]:
    """A member whose 100 points lapsed, and their lot."""
    member_id = await with_points(loyalty, points=100)
    await deliver(loyalty, (await announced(loyalty))["id"])
    loyalty.clock.at = DAY
    await run(loyalty, EXPIRE)
    assert await points_of(loyalty, member_id) == NOTHING
    return member_id, (await lots_of(loyalty, member_id, state="all"))[0]["id"]


async def test_lots_are_listed_newest_first_and_due_ones_read_as_available(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    loyalty.clock.at = shanghai(2026, 12, 10, 12)
    order_id = await place(loyalty, member_id, paid_fen=5_000)
    pending = (await lots_of(loyalty, member_id))[0]
    assert pending["cause"] == {"kind": "order", "id": order_id}
    assert (pending["state"], pending["available_at"], pending["expires_at"]) == (
        "pending", None, None,
    )  # fmt: skip
    await complete(loyalty, order_id)
    loyalty.clock.at = shanghai(2026, 12, 17, 12)
    newest, oldest = await lots_of(loyalty, member_id)
    assert (newest["state"], newest["remaining"]) == ("available", 50)
    assert newest["expires_at"] == "2027-12-31T16:00:00Z"
    assert await schedule_of(loyalty, member_id) == [
        (100, "2027-11-30T16:00:00Z"), (50, "2027-12-31T16:00:00Z"),
    ]  # fmt: skip

    await redeem(loyalty, member_id, points=100)
    assert [lot["id"] for lot in await lots_of(loyalty, member_id)] == [newest["id"]]
    everything_ever = await lots_of(loyalty, member_id, state="all")
    assert [lot["id"] for lot in everything_ever] == [newest["id"], oldest["id"]]
    reply = await loyalty.call(
        "list_lots", member_id=member_id, params={"state": "all", "limit": 1}
    )
    second = await loyalty.call(
        "list_lots",
        member_id=member_id,
        params={"state": "all", "limit": 1, "cursor": reply.json()["next_cursor"]},
    )
    assert [lot["id"] for lot in second.json()["data"]] == [oldest["id"]]
    assert second.json()["next_cursor"] is None


async def test_points_that_never_lapse_stand_last_in_the_schedule(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    await publish(loyalty, policy="never")
    await complete(loyalty, await place(loyalty, member_id, paid_fen=4_000))
    loyalty.clock.advance(timedelta(days=8))
    assert await schedule_of(loyalty, member_id) == [(100, "2027-11-30T16:00:00Z"), (40, None)]


async def test_the_schedule_leaves_out_what_is_about_to_repay_a_debt(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    order_id = await loyalty.scalar("select order_id from orders")
    await redeem(loyalty, member_id, points=100)
    await refund(loyalty, order_id, amount_fen=10_000)
    await complete(loyalty, await place(loyalty, member_id, paid_fen=15_000))
    loyalty.clock.advance(timedelta(days=8))
    assert await schedule_of(loyalty, member_id) == [(50, "2027-12-31T16:00:00Z")]
    assert [lot["remaining"] for lot in await lots_of(loyalty, member_id)] == [50]


@pytest.mark.parametrize("operation", ["list_lots", "show_expiry_schedule"])
async def test_an_unknown_member_has_no_lots(loyalty: ServiceUnderTest, operation: str) -> None:
    reply = await loyalty.call(operation, member_id="mem_00000000000000000000000000")
    assert (reply.status_code, reply.json()["code"]) == (404, "member_not_found")


async def test_an_operator_extends_all_open_lots_and_it_is_on_record(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    balances = await points_of(loyalty, member_id)
    reply = await extend(loyalty, member_id, expires_at="2028-02-29T13:00:00+08:00")
    assert reply.status_code == 201, reply.text
    assert await schedule_of(loyalty, member_id) == [(100, "2028-02-29T16:00:00Z")]
    [extension] = reply.json()["extensions"]
    assert extension["previous_expires_at"] == "2027-11-30T16:00:00Z"
    assert extension["expires_at"] == "2028-02-29T16:00:00Z", "to the end of that business day"
    assert (extension["reason"], extension["note"]) == ("by_operator", "门店装修补偿")
    assert "managerk" in extension["actor"]
    assert await extensions(loyalty, reason="by_operator") == [extension]
    assert (await types_of_events(loyalty))[-1] == "points.expiry_extended.v1"
    event = await loyalty.scalar("select data from outbox where type = 'points.expiry_extended.v1'")
    assert "note" not in event
    assert await points_of(loyalty, member_id) == balances
    assert await audit(loyalty) == 2


async def test_extended_points_need_a_notice_of_their_new_day(loyalty: ServiceUnderTest) -> None:
    member_id = await with_points(loyalty, points=100)
    await deliver(loyalty, (await announced(loyalty))["id"])
    assert (await extend(loyalty, member_id)).status_code == 201
    loyalty.clock.at = DAY
    await run(loyalty, *LOT_JOBS)
    assert (await points_of(loyalty, member_id))["available"] == 100
    loyalty.clock.at = shanghai(2028, 3, 1) - timedelta(days=20)
    assert await run(loyalty, ANNOUNCE) == 1


async def test_an_extension_never_moves_a_lot_earlier_nor_into_the_past(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_points(loyalty, points=100)
    [lot] = await lots_of(loyalty, member_id)
    spent = await with_points(loyalty, points=100)
    [gone] = await lots_of(loyalty, spent)
    await redeem(loyalty, spent, points=100)
    before = await all_records(loyalty)
    earlier, past = "2027-11-30T23:00:00+08:00", "2026-12-01T12:00:00+08:00"
    lots = [lot["id"]]
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"expires_at": earlier}, 409, "nothing_to_extend"),
        ({"expires_at": earlier, "lot_ids": lots}, 409, "expiry_not_later"),
        ({"expires_at": past}, 422, "validation_failed"),
        ({"lot_ids": [*lots, gone["id"]]}, 409, "lot_not_open"),
        ({"lot_ids": []}, 422, "validation_failed"),
        ({"lot_ids": ["lot_1"]}, 422, "validation_failed"),
        ({"reason": " "}, 422, "validation_failed"),
        ({"expires_at": "2100-01-01T00:00:00Z"}, 422, "validation_failed"),
    ]
    for given, status, code in cases:
        reply = await extend(loyalty, member_id, **given)
        assert (reply.status_code, reply.json()["code"]) == (status, code), given
    assert await all_records(loyalty) == before
    assert (await extend(loyalty, "mem_00000000000000000000000000")).status_code == 404


async def test_a_pending_lot_whose_order_is_not_completed_cannot_be_extended(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    await place(loyalty, member_id, paid_fen=10_000)
    [lot] = await lots_of(loyalty, member_id)
    reply = await extend(loyalty, member_id, lot_ids=[lot["id"]])
    assert (reply.status_code, reply.json()["code"]) == (409, "lot_not_open")


async def test_lapsed_points_go_back_to_their_lot_for_another_while(
    loyalty: ServiceUnderTest,
) -> None:
    member_id, lot_id = await with_lapsed(loyalty)
    reply = await reinstate(loyalty, member_id, lot_id, points=60)
    assert reply.status_code == 201, reply.text
    made = reply.json()
    assert made == {
        "id": made["id"],
        "member_id": member_id,
        "lot_id": lot_id,
        "points": 60,
        "debt_repaid": 0,
        "expires_at": "2027-12-31T16:00:00Z",
        "balances": {**NOTHING, "available": 60},
    }
    [lot] = await lots_of(loyalty, member_id)
    assert (lot["id"], lot["points"], lot["remaining"]) == (lot_id, 100, 60)
    [entry] = await loyalty.rows("select * from point_entries where kind = 'reinstated'")
    assert (entry.debit_account, entry.credit_account) == ("expired", "available")
    assert entry.reason is None, "what people write can be erased, so it stands beside the ledger"
    told = (await loyalty.call("list_point_entries", member_id=member_id)).json()["data"]
    assert told[0]["reason"] == "住院期间未能使用"
    assert (await types_of_events(loyalty))[-1] == "points.reinstated.v1"

    rest = await reinstate(loyalty, member_id, lot_id, expires_at="2028-06-30T10:00:00+08:00")
    assert rest.json()["points"] == 40
    assert await schedule_of(loyalty, member_id) == [(100, "2028-06-30T16:00:00Z")]
    assert await audit(loyalty) == 5


async def test_never_more_than_lapsed_is_given_back(loyalty: ServiceUnderTest) -> None:
    member_id, lot_id = await with_lapsed(loyalty)
    other = await with_points(loyalty, points=100)
    loyalty.clock.at = DAY
    before = await all_records(loyalty)
    for points in (101, 10_000_000):
        reply = await reinstate(loyalty, member_id, lot_id, points=points)
        assert (reply.status_code, reply.json()["code"]) == (409, "more_than_lapsed")
        assert "100" in reply.json()["detail"]
    for given in (
        {"points": 0},
        {"points": -1},
        {"expires_at": "2027-12-01T00:00:00+08:00"},
        {"reason": ""},
    ):
        assert (await reinstate(loyalty, member_id, lot_id, **given)).status_code == 422
    assert (await reinstate(loyalty, other, lot_id)).status_code == 404
    assert await all_records(loyalty) == before

    replies = await race(
        loyalty,
        *(reinstate(loyalty, member_id, lot_id, points=60) for _ in range(3)),
        at=ACCOUNTS,
        meeting=3,
    )
    assert sorted(reply.status_code for reply in replies) == [201, 409, 409]
    assert (await reinstate(loyalty, member_id, lot_id)).json()["points"] == 40
    assert (await reinstate(loyalty, member_id, lot_id)).json()["code"] == "more_than_lapsed"
    await audit(loyalty)


async def test_points_that_did_not_lapse_cannot_be_given_back(loyalty: ServiceUnderTest) -> None:
    member_id = await with_points(loyalty, points=100)
    [lot] = await lots_of(loyalty, member_id)
    await redeem(loyalty, member_id, points=100)
    reply = await reinstate(loyalty, member_id, lot["id"], points=1)
    assert (reply.status_code, reply.json()["code"]) == (409, "more_than_lapsed")


async def test_reinstated_points_repay_a_debt_first(loyalty: ServiceUnderTest) -> None:
    member_id, lot_id = await with_lapsed(loyalty)
    order_id = await loyalty.scalar("select order_id from orders")
    await refund(loyalty, order_id, amount_fen=10_000)
    assert (await points_of(loyalty, member_id))["debt"] == 100
    reply = await reinstate(loyalty, member_id, lot_id)
    assert reply.json()["debt_repaid"] == 100
    assert await points_of(loyalty, member_id) == NOTHING
    await audit(loyalty)


async def test_reinstated_points_lapse_again_only_after_a_new_notice(
    loyalty: ServiceUnderTest,
) -> None:
    member_id, lot_id = await with_lapsed(loyalty)
    await reinstate(loyalty, member_id, lot_id, points=60)
    loyalty.clock.at = shanghai(2028, 1, 1)
    await run(loyalty, EXPIRE)
    assert (await points_of(loyalty, member_id))["available"] == 60
    notice = await announced(loyalty, at=shanghai(2028, 1, 5))
    await deliver(loyalty, notice["id"])
    loyalty.clock.at = shanghai(2028, 2, 1)
    await run(loyalty, EXPIRE)
    assert await points_of(loyalty, member_id) == NOTHING
    assert (await reinstate(loyalty, member_id, lot_id)).json()["points"] == 100
    assert await nothing_lapsed_unheard(loyalty) == 2
    await audit(loyalty)


async def test_an_operation_on_lots_settles_first_what_was_due(loyalty: ServiceUnderTest) -> None:
    """Even before the job has come by, points that lapsed can be given back, not extended."""
    member_id = await with_points(loyalty, points=100)
    await deliver(loyalty, (await announced(loyalty))["id"])
    [lot] = await lots_of(loyalty, member_id)
    loyalty.clock.at = DAY
    late = await extend(loyalty, member_id, lot_ids=[lot["id"]])
    assert (late.status_code, late.json()["code"]) == (409, "lot_not_open")
    reply = await reinstate(loyalty, member_id, lot["id"], points=30)
    assert reply.json()["balances"] == {**NOTHING, "available": 30}
    assert await run(loyalty, EXPIRE) == 0
    assert await nothing_lapsed_unheard(loyalty) == 1
    await audit(loyalty)


async def test_points_given_back_during_a_day_are_good_as_if_extended_at_its_end(
    loyalty: ServiceUnderTest,
) -> None:
    member_id, lot_id = await with_lapsed(loyalty)
    loyalty.clock.at = shanghai(2027, 12, 2, 12)
    reply = await reinstate(loyalty, member_id, lot_id)
    assert reply.json()["expires_at"] == "2028-01-31T16:00:00Z"


async def test_points_given_back_to_a_lot_that_has_some_repaid_no_debt(
    loyalty: ServiceUnderTest,
) -> None:
    member_id, lot_id = await with_lapsed(loyalty)
    for points in (60, 40):
        reply = await reinstate(loyalty, member_id, lot_id, points=points)
        assert (reply.json()["points"], reply.json()["debt_repaid"]) == (points, 0)
