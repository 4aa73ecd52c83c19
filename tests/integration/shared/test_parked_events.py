"""Operators decide what is parked: look, try again, give up with a reason."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.integration.shared.listening import Ear, apply, event, heard, parked
from tests.integration.shared.small_service import Small, SmallStarter

ROOT = "/v1/services/referral"


@pytest.fixture
def ear() -> Ear:
    return Ear(troubles={"a": ValueError(), "b": KeyError("b")})


@pytest.fixture
async def consumer(start_small: SmallStarter, ear: Ear) -> Small:
    """A line of three behind `a`, one of `b`, and one that flowed past."""
    started = await start_small(handlers=ear.handlers)
    names = ["a", "a", "b", "c", "a"]
    await apply(started, ear, [event(pos, name) for pos, name in enumerate(names, start=1)])
    return started


async def id_at(consumer: Small, pos: int) -> int:
    found: int = await consumer.scalar("select id from parked_events where pos = :pos", pos=pos)
    return found


async def decide(consumer: Small, what: str, *, pos: int, **more: Any) -> httpx.Response:
    """Retry or skip the event at a position."""
    path = f"{ROOT}/parked_events/{await id_at(consumer, pos)}/{what}"
    return await consumer.call(f"{what}_referral_parked_event", "POST", path, **more)


async def test_parked_events_are_listed_oldest_first_page_by_page(consumer: Small) -> None:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = await consumer.call(
            "list_referral_parked_events", "GET", f"{ROOT}/parked_events", params=params
        )
        found += page.json()["data"]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert [(e["subject"], e["error"], e["attempts"]) for e in found] == [
        ("a", "ValueError", 1),
        ("a", None, 0),
        ("b", "KeyError", 1),
        ("a", None, 0),
    ]
    assert {e["producer"] for e in found} == {"loyalty"}
    assert "data" not in found[0]


async def test_a_retry_after_the_repair_works_off_the_line_in_order(
    consumer: Small, ear: Ear
) -> None:
    del ear.troubles["a"]
    answer = await decide(consumer, "retry", pos=1)
    assert (answer.status_code, answer.json()) == (200, {"applied": 3, "waiting": 0})
    assert await heard(consumer) == [("c", 4), ("a", 1), ("a", 2), ("a", 5)]
    assert (await decide(consumer, "retry", pos=1)).status_code == 404
    await apply(consumer, ear, [event(6, "a"), event(7, "b")])
    assert (await heard(consumer))[4:] == [("a", 6)]


async def test_a_retry_that_fails_again_is_counted_and_changes_nothing_else(
    consumer: Small,
) -> None:
    before = await heard(consumer)
    answer = await decide(consumer, "retry", pos=1)
    assert (answer.status_code, answer.json()) == (200, {"applied": 0, "waiting": 3})
    assert await heard(consumer) == before
    assert await consumer.scalar("select attempts from parked_events where pos = 1") == 2
    assert await consumer.scalar("select count(*) from outbox where subject = 'a'") == 0


async def test_a_line_stops_at_the_next_one_that_fails(consumer: Small, ear: Ear) -> None:
    del ear.troubles["a"]
    await consumer.change(
        """update parked_events set event = event || '{"data": {}}' where pos = 2"""
    )
    answer = await decide(consumer, "retry", pos=1)
    assert answer.json() == {"applied": 1, "waiting": 2}
    assert await parked(consumer) == [
        (1, "ValueError", "applied"),
        (2, "ValidationError", "parked"),
        (3, "KeyError", "parked"),
        (5, None, "parked"),
    ]


@pytest.mark.parametrize("what", ["retry", "skip"])
async def test_only_the_first_of_a_line_can_be_decided(consumer: Small, what: str) -> None:
    more = {"json": {"reason": "测试数据"}} if what == "skip" else {}
    before = await parked(consumer)
    answer = await decide(consumer, what, pos=5, **more)
    assert (answer.status_code, answer.json()["code"]) == (409, "parked_event_not_first")
    assert await parked(consumer) == before


async def test_giving_up_the_first_with_a_reason_lets_those_behind_it_go_on(
    consumer: Small, ear: Ear
) -> None:
    del ear.troubles["a"]
    answer = await decide(consumer, "skip", pos=1, json={"reason": "测试数据"})
    assert answer.json() == {"applied": 2, "waiting": 0}
    assert (await heard(consumer))[1:] == [("a", 2), ("a", 5)]
    row = (await consumer.rows("select * from parked_events where pos = 1"))[0]
    assert (row.state, row.resolution) == ("skipped", "测试数据")
    assert row.resolved_at is not None


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 501}])
async def test_giving_up_needs_a_reason(consumer: Small, body: dict[str, str]) -> None:
    assert (await decide(consumer, "skip", pos=1, json=body)).status_code == 422
    assert (await parked(consumer))[0] == (1, "ValueError", "parked")


async def test_a_passing_trouble_during_a_retry_changes_nothing(consumer: Small, ear: Ear) -> None:
    before = await parked(consumer)
    ear.troubles["a"] = TimeoutError()
    assert (await decide(consumer, "retry", pos=1)).status_code == 503
    assert await parked(consumer) == before


async def test_of_two_operators_at_once_one_works_the_line_off(consumer: Small, ear: Ear) -> None:
    del ear.troubles["a"]
    answers = await asyncio.gather(*(decide(consumer, "retry", pos=1) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404, 404]
    assert (await heard(consumer))[1:] == [("a", 1), ("a", 2), ("a", 5)]


async def test_an_event_of_a_newer_version_waits_until_it_is_understood(
    start_small: SmallStarter, ear: Ear
) -> None:
    consumer = await start_small(handlers=ear.handlers)
    await apply(consumer, ear, [event(1, "c", type="counter.bumped.v2")])
    answer = await decide(consumer, "retry", pos=1)
    assert answer.json() == {"applied": 0, "waiting": 1}
    assert await parked(consumer) == [(1, "UnknownVersion", "parked")]


@pytest.mark.parametrize("number", ["0", "-1", "x", str(2**63), "999"])
async def test_what_is_not_parked_cannot_be_decided(consumer: Small, number: str) -> None:
    path = f"{ROOT}/parked_events/{number}/retry"
    answer = await consumer.call("retry_referral_parked_event", "POST", path)
    assert answer.status_code == 404


@pytest.mark.parametrize("producer", ["segmentation", "Loyalty", "x" * 21, "%00"])
async def test_only_what_is_listened_to_can_be_rewound(consumer: Small, producer: str) -> None:
    path = f"{ROOT}/subscriptions/{producer}/rewind"
    answer = await consumer.call("rewind_referral_subscription", "POST", path)
    assert answer.status_code == 404


async def test_the_state_of_the_log_is_shown(consumer: Small) -> None:
    await consumer.bump()
    answer = await consumer.call("show_referral_event_log", "GET", f"{ROOT}/event_log")
    status = answer.json()
    assert (status["service"], status["head"], status["unsequenced"]) == ("referral", 0, 2)
    assert status["consumers"] == []
    [subscription] = status["subscriptions"]
    assert (subscription["producer"], subscription["pos"], subscription["parked"]) == (
        "loyalty",
        5,
        4,
    )
