"""What is held past its time is free from that very moment, whether or not a job has come by."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.loyalty.jobs import JOBS
from shared.http.tokens import Principal
from shared.jobs import run_due
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.moves import (
    NOTHING,
    adjust,
    conserved,
    decide,
    give,
    held,
    hold,
    transfer,
)
from tests.integration.loyalty.people import enrol, everything, points_of, redeem
from tests.integration.loyalty.vouchers_world import template
from tests.support.service import ServiceUnderTest, Starter

RELEASES = [job for job in JOBS if job.name.startswith("release_stale_")]
Spend = Callable[[ServiceUnderTest, str], Awaitable[httpx.Response]]


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def reserve(
    loyalty: ServiceUnderTest, member_id: str, points: int, **given: Any
) -> httpx.Response:
    item = {"sku": "SERUM-30ML", "quantity": 1, "amount_fen": 100_000}
    body = {"member_id": member_id, "items": [item], "points": points, **given}
    return await loyalty.call("reserve_checkout", json=body)


async def spend_at_once(loyalty: ServiceUnderTest, member_id: str) -> httpx.Response:
    reply: httpx.Response = await redeem(loyalty, member_id, points=300)
    return reply


async def give_away(loyalty: ServiceUnderTest, member_id: str) -> httpx.Response:
    return await transfer(loyalty, member_id, await enrol(loyalty), 300)


async def have_taken(loyalty: ServiceUnderTest, member_id: str) -> httpx.Response:
    return await adjust(loyalty, member_id, -300)


async def check_out(loyalty: ServiceUnderTest, member_id: str) -> httpx.Response:
    return await reserve(loyalty, member_id, 300)


async def hold_more(loyalty: ServiceUnderTest, member_id: str) -> httpx.Response:
    return await hold(loyalty, member_id, 300, reference="G-2")


SPENDINGS: list[Spend] = [spend_at_once, give_away, have_taken, check_out, hold_more]


async def with_all_away(loyalty: ServiceUnderTest) -> str:
    """A member of whose 300 points a hold has 100 and a checkout 200, both for a quarter."""
    member_id = await enrol(loyalty)
    await give(loyalty, member_id, 300)
    await held(loyalty, member_id, 100)
    assert (await reserve(loyalty, member_id, 200)).status_code == 201
    return member_id


@pytest.mark.parametrize("spending", SPENDINGS)
async def test_whoever_spends_finds_free_what_was_held_past_its_time(
    loyalty: ServiceUnderTest, spending: Spend
) -> None:
    member_id = await with_all_away(loyalty)
    loyalty.clock.advance(timedelta(minutes=15))
    ran_out = loyalty.clock.now()
    loyalty.clock.advance(timedelta(minutes=1))
    reply = await spending(loyalty, member_id)
    assert reply.status_code == 201, reply.text
    assert (await points_of(loyalty, member_id))["available"] == 0
    released = await loyalty.rows(
        "select state, returned_points, closed_at from redemptions"
        " where created_at < :then order by points",
        then=ran_out,
    )
    assert [tuple(one) for one in released] == [
        ("released", 100, ran_out), ("released", 200, ran_out),
    ]  # fmt: skip
    entries = await loyalty.rows(
        "select points, occurred_at, recorded_at from point_entries where kind = 'restored'"
        " order by points"
    )
    now = loyalty.clock.now()
    assert [tuple(one) for one in entries] == [(100, ran_out, now), (200, ran_out, now)]
    ended = await loyalty.rows(
        "select state, closed_at from reservations where closed_at is not null"
    )
    assert [tuple(one) for one in ended] == [("expired", ran_out)]
    told = await loyalty.rows("select 1 from outbox where type = 'points.restored.v1'")
    assert len(told) == len(released)
    for job in RELEASES:
        assert await run_due(job, database=loyalty.database) == 0
    await audit(loyalty)
    await conserved(loyalty)


@pytest.mark.parametrize("spending", SPENDINGS)
async def test_until_the_last_microsecond_nobody_spends_what_is_held(
    loyalty: ServiceUnderTest, spending: Spend
) -> None:
    member_id = await with_all_away(loyalty)
    loyalty.clock.advance(timedelta(minutes=15) - timedelta(microseconds=1))
    reply = await spending(loyalty, member_id)
    assert reply.status_code == 409, reply.text
    assert reply.json()["code"] in ("insufficient_points", "points_not_usable")
    assert await points_of(loyalty, member_id) == {**NOTHING, "held": 300}


async def test_who_has_enough_spends_without_a_look_at_what_is_held(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await with_all_away(loyalty)
    await give(loyalty, member_id, 300)
    loyalty.clock.advance(timedelta(minutes=16))
    assert (await redeem(loyalty, member_id, points=300)).status_code == 201
    assert await points_of(loyalty, member_id) == {**NOTHING, "held": 300}
    before = await everything(loyalty)
    assert (await redeem(loyalty, member_id, points=301)).json()["code"] == "insufficient_points"
    assert await everything(loyalty) == before, "a refusal changes nothing"


async def test_an_approved_adjustment_takes_what_was_held_past_its_time(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    for operator in range(2):
        by = Principal(kind="api_key", id=f"operator{operator}")
        assert (await adjust(loyalty, member_id, 9_000, principal=by)).status_code == 201
    await held(loyalty, member_id, 18_000)
    asked = (await adjust(loyalty, member_id, -18_000)).json()
    assert asked["state"] == "awaiting_approval"
    assert (await decide(loyalty, asked["id"], "approve")).status_code == 409
    loyalty.clock.advance(timedelta(minutes=15))
    assert (await decide(loyalty, asked["id"], "approve")).status_code == 200
    assert await points_of(loyalty, member_id) == NOTHING
    await audit(loyalty)


async def test_a_new_checkout_uses_the_voucher_of_one_whose_time_is_over(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    wanted = await template(loyalty, threshold_fen=9_900, amount_fen=1_000)
    await loyalty.call("issue_vouchers", template_id=wanted, json={"member_ids": [member_id]})
    voucher_id = await loyalty.scalar("select id from vouchers")
    first = await reserve(loyalty, member_id, 0, voucher_ids=[voucher_id])
    assert first.status_code == 201, first.text
    loyalty.clock.advance(timedelta(minutes=15) - timedelta(microseconds=1))
    early = await reserve(loyalty, member_id, 0, voucher_ids=[voucher_id])
    assert early.json()["code"] == "voucher_not_usable"
    loyalty.clock.advance(timedelta(microseconds=1))
    second = await reserve(loyalty, member_id, 0, voucher_ids=[voucher_id])
    assert second.status_code == 201, second.text
    states = await loyalty.rows("select id, state from reservations order by id")
    assert [tuple(one) for one in states] == [
        (first.json()["id"], "expired"), (second.json()["id"], "held"),
    ]  # fmt: skip
