"""Moments that callers tell: none that is still to come, and none that undoes the rules."""

from datetime import timedelta
from typing import Any

import pytest

from shared.kernel.clock import rfc3339
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_world import imported, line, ndjson, refusals
from tests.integration.loyalty.people import (
    enrol,
    order_of,
    place,
    redeem,
    spendable,
)
from tests.support.service import ServiceUnderTest, Starter


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def completed(loyalty: ServiceUnderTest, order_id: str, at: str) -> Any:
    return await loyalty.call("complete_order", order_id=order_id, json={"completed_at": at})


async def test_what_is_still_to_come_is_refused_and_can_be_told_rightly(
    loyalty: ServiceUnderTest,
) -> None:
    """A fact counts once: taken with the year mistyped, it would stay wrong for ever."""
    member_id = await enrol(loyalty)
    order = order_of(member_id, paid_fen=10_000)
    early = await loyalty.call("record_order", json={**order, "paid_at": "2062-11-23T12:00:00Z"})
    assert (early.status_code, early.json()["errors"][0]["pointer"]) == (422, "/paid_at")
    assert (await loyalty.call("record_order", json=order)).status_code == 201
    late = await completed(loyalty, order["order_id"], "2062-11-25T12:00:00Z")
    assert (late.status_code, late.json()["errors"][0]["pointer"]) == (422, "/completed_at")
    # Five minutes ahead is another clock, not another year.
    ahead = await completed(loyalty, order["order_id"], "2026-11-23T12:05:00+08:00")
    assert ahead.status_code == 200


async def test_an_imported_order_that_is_still_to_come_is_refused_and_enrols_nobody(
    loyalty: ServiceUnderTest,
) -> None:
    future, past = "2062-01-01T12:00:00+08:00", "2026-01-01T12:00:00+08:00"
    lines = (
        line(1, identity_value="nobody-1", paid_at=future),
        line(2, identity_value="nobody-2", paid_at=past, completed_at=future),
        line(3, paid_at=past, completed_at=past),
    )
    ended = await imported(loyalty, ndjson(lines), earn="true")
    assert (ended["orders"], ended["refused"]) == (1, 2)
    refused = await refusals(loyalty, ended["id"])
    assert refused == [
        (1, "occurred_in_future", "/paid_at"),
        (2, "occurred_in_future", "/completed_at"),
    ]
    assert await loyalty.scalar("select count(*) from members") == 1
    await audit(loyalty)


async def test_what_was_earned_says_its_moments_where_the_completion_came_first(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    assert (await completed(loyalty, "SO-EARLY", "2026-11-23T12:00:00+08:00")).status_code == 202
    await place(loyalty, member_id, paid_fen=10_000, order_id="SO-EARLY")
    (event,) = await loyalty.rows("select data from outbox where type = 'points.earned.v1'")
    assert event.data["available_at"] == "2026-11-30T04:00:00Z"
    assert event.data["expires_at"] == "2027-11-30T16:00:00Z"


async def test_a_past_balance_is_a_beginning_of_the_chain_whatever_the_clocks_said(
    loyalty: ServiceUnderTest,
) -> None:
    """Who waited for the account is dated before the entries that it waited for."""
    member_id = await spendable(loyalty, points=1_000)
    await redeem(loyalty, member_id, points=1)
    moment = loyalty.clock.now()
    loyalty.clock.advance(timedelta(minutes=2))
    await redeem(loyalty, member_id, points=500)
    await redeem(loyalty, member_id, points=10)
    await loyalty.change("alter table point_entries disable trigger point_entries_append_only")
    earlier = "update point_entries set recorded_at = :at where points = 10"
    await loyalty.change(earlier, at=moment + timedelta(minutes=1))
    as_of = rfc3339(moment + timedelta(seconds=90))
    shown = await loyalty.call("show_points", member_id=member_id, params={"as_of": as_of})
    assert shown.json()["available"] == 999
