"""The feed: a log without holes, that tells each reader the truth about its place in it."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from shared.events.subscriber import FeedRefused
from tests.integration.shared.listening import Ear, between, heard, position
from tests.integration.shared.small_service import PRODUCER, Bumped, Small, SmallStarter


@pytest.fixture
async def producer(start_small: SmallStarter) -> Small:
    return await start_small(service=PRODUCER)


async def read(producer: Small, **params: Any) -> httpx.Response:
    return await producer.call("read_feed", "GET", "/internal/events", params=params)


def refused_with(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_events_come_in_order_with_positions_from_one(producer: Small) -> None:
    for amount in (5, 6, 7):
        await producer.bump("visits", amount=amount)
    answer = await read(producer)
    assert answer.headers["content-type"] == "application/cloudevents-batch+json"
    events = answer.json()
    assert [e["pos"] for e in events] == [e["subjectversion"] for e in events] == [1, 2, 3]
    assert [e["data"] for e in events] == [{"name": "visits", "amount": n} for n in (5, 6, 7)]
    assert {e["source"] for e in events} == {"/huitou/loyalty"}
    assert {e["epoch"] for e in events} == {answer.headers["feed-epoch"]}
    assert (answer.headers["feed-head"], answer.headers["feed-oldest"]) == ("3", "1")


async def test_a_reader_goes_on_from_where_it_stands_in_steps_it_chooses(producer: Small) -> None:
    for _ in range(5):
        await producer.bump()
    first = (await read(producer, limit=2)).json()
    place = {"after": 2, "after_id": first[-1]["id"], "epoch": first[-1]["epoch"]}
    assert [e["pos"] for e in (await read(producer, limit=2, **place)).json()] == [3, 4]
    # Known by its token, whatever name it would give itself.
    await read(producer, consumer="somebody-else", **place)
    assert await producer.rows("select consumer, pos from feed_acks") == [("gateway", 2)]


async def test_an_empty_log_is_empty(producer: Small) -> None:
    answer = await read(producer)
    assert (answer.json(), answer.headers["feed-head"], answer.headers["feed-oldest"]) == (
        [],
        "0",
        "1",
    )


@pytest.mark.parametrize(
    "place",
    [
        {"after": 2, "epoch": str(uuid.UUID(int=1))},
        {"after": 2, "after_id": str(uuid.UUID(int=1))},
        {"after": 3},
        {"after": 3, "wait": 20},
        {"after": 2**63 - 1, "wait": 20},
    ],
    ids=["another epoch", "another event", "beyond the head", "waiting beyond", "far beyond"],
)
async def test_a_reader_with_another_history_is_told_so(
    producer: Small, place: dict[str, Any]
) -> None:
    await producer.bump()
    await producer.bump()
    async with asyncio.timeout(15):
        assert refused_with(await read(producer, **place)) == (409, "feed_diverged")
    assert await producer.scalar("select count(*) from feed_acks") == 0


async def test_a_reader_whose_next_event_is_no_longer_kept_is_told_so(producer: Small) -> None:
    for _ in range(4):
        await producer.bump()
    ids = [e["id"] for e in (await read(producer)).json()]
    await producer.change("delete from outbox where pos <= 2")
    gone = await read(producer, after=1)
    assert refused_with(gone) == (410, "feed_truncated")
    assert "3" in gone.json()["detail"]
    assert [e["pos"] for e in (await read(producer, after=2, after_id=ids[1])).json()] == [3, 4]
    await producer.change("delete from outbox")
    assert refused_with(await read(producer, after=3)) == (410, "feed_truncated")
    assert (await read(producer, after=4)).json() == []


async def test_a_waiting_reader_gets_what_happens_while_it_waits(producer: Small) -> None:
    waiting = asyncio.create_task(read(producer, wait=20))
    await producer.bump(amount=9)
    assert [e["data"]["amount"] for e in (await waiting).json()] == [9]


async def test_a_reader_that_waits_in_vain_gets_an_empty_answer(producer: Small) -> None:
    assert (await read(producer, wait=0.05)).json() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"after": -1},
        {"after": 2**63},
        {"limit": 0},
        {"limit": 501},
        {"wait": 21},
        {"wait": "nan"},
        {"after_id": "x"},
        {"epoch": "\x00"},
    ],
    ids=str,
)
async def test_a_senseless_question_is_refused(producer: Small, wrong: dict[str, Any]) -> None:
    assert refused_with(await read(producer, **wrong)) == (422, "validation_failed")


async def test_a_slow_transaction_delays_only_its_own_events(producer: Small) -> None:
    async with producer.database.begin(actor="test") as slow:
        slow.record(Bumped(name="slow", amount=1), subject="slow")
        await producer.bump("quick")
        assert [e["subject"] for e in (await read(producer)).json()] == ["quick"]
    assert [e["subject"] for e in (await read(producer, after=1)).json()] == ["slow"]


async def test_a_producer_restored_from_a_backup_is_noticed_and_a_rewind_heals(
    producer: Small, start_small: SmallStarter
) -> None:
    ear = Ear()
    consumer = await start_small(handlers=ear.handlers)
    for amount in (1, 2, 3):
        await producer.bump(amount=amount)
    subscriber = between(consumer, producer)
    assert await subscriber.pull() == 3
    # The backup knew two events; the third position is given out again, to another event.
    await producer.change("delete from outbox where pos = 3")
    await producer.change("update feed_head set pos = 2")
    await producer.change("update event_subjects set version = 2")
    with pytest.raises(FeedRefused):
        await subscriber.pull()
    await producer.bump(amount=30)
    with pytest.raises(FeedRefused):
        await subscriber.pull()
    assert (await position(consumer), await heard(consumer)) == (
        3,
        [("visits", 1), ("visits", 2), ("visits", 3)],
    )
    answer = await consumer.call(
        "rewind_referral_subscription",
        "POST",
        f"/v1/services/referral/subscriptions/{PRODUCER}/rewind",
    )
    assert answer.status_code == 204
    assert await subscriber.pull() == 3
    assert (await heard(consumer))[3:] == [("visits", 1), ("visits", 2), ("visits", 30)]
    await subscriber.close()
