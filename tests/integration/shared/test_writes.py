"""A write under a key: one effect, one reply, whatever happens around it."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

import httpx
import pytest
from sqlalchemy import text

from shared.db import Occasion
from shared.http.tokens import Principal
from shared.kernel.errors import InvalidField, NotFound, Refusal
from shared.sql import execute
from tests.integration.shared.small_service import PATHS, Small, SmallStarter
from tests.support.waiting import until

OTHER = Principal(kind="api_key", id="otherkey")


class Taken(Refusal):
    """The business says no."""

    code: ClassVar[str] = "already_recorded_differently"


@pytest.fixture(params=["bump", "bump_hot"])
async def small(start_small: SmallStarter, request: pytest.FixtureRequest) -> Small:
    """The law is one, whether a write has its own transaction or goes along in a batch."""
    started = await start_small()
    started.bumping = request.param
    return started


async def nothing_happened(small: Small) -> bool:
    """Whether no effect and no event is there."""
    counted = await small.scalar("select count(*) from counters")
    return bool(counted == 0 and await small.scalar("select count(*) from outbox") == 0)


def code_of(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["code"])


def raising(error: Exception) -> Callable[[Occasion], None]:
    def turn(_: Occasion) -> None:
        raise error

    return turn


async def test_a_repetition_gets_the_first_reply_byte_for_byte(small: Small) -> None:
    first = await small.bump(key="k-1", amount=20)
    again = await small.bump(key="k-1", amount=20)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert await small.scalar("select total from counters") == 20
    assert await small.scalar("select count(*) from outbox") == 1


async def test_the_same_key_with_another_body_is_refused(small: Small) -> None:
    await small.bump(key="k-1", amount=20)
    other = await small.bump(key="k-1", amount=21)
    assert (other.status_code, code_of(other)) == (422, "idempotency_key_reused")
    elsewhere = await small.bump("visitors", key="k-1", amount=20)
    assert (elsewhere.status_code, code_of(elsewhere)) == (422, "idempotency_key_reused")
    assert await small.scalar("select sum(total) from counters") == 20


@pytest.mark.parametrize(
    "spelling",
    [
        b'{"note":{"b":[1,{"y":2,"x":"\xe4\xb8\xad"}],"a":null},"amount":5}',
        b' { "amount" : 5 ,\n"note":{"a":null,"b":[1,{"x":"\\u4e2d","y":2}]}}',
    ],
)
async def test_json_spelled_otherwise_is_the_same_body(small: Small, spelling: bytes) -> None:
    plain = {"amount": 5, "note": {"a": None, "b": [1, {"x": "中", "y": 2}]}}
    first = await small.bump(key="k-1", json=plain)
    again = await small.bump(
        key="k-1", json=None, content=spelling, headers={"content-type": "application/json"}
    )
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_write_that_moves_value_needs_a_key(small: Small) -> None:
    answer = await small.call(
        small.bumping, "POST", f"/v1/counters/visits/{PATHS[small.bumping]}", json={"amount": 1}
    )
    assert (answer.status_code, code_of(answer)) == (400, "idempotency_key_missing")
    assert await nothing_happened(small)


@pytest.mark.parametrize("key", ["", "two words", "中文", "k" * 256, "tab\there"])
async def test_a_key_of_other_than_visible_ascii_is_refused(small: Small, key: str) -> None:
    answer = await small.bump(headers={"Idempotency-Key": key.encode()})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "@Idempotency-Key"
    assert await nothing_happened(small)


async def test_a_hundred_at_once_with_one_key_have_one_effect_and_equal_replies(
    small: Small,
) -> None:
    answers = await asyncio.gather(*(small.bump(key="k-1", amount=7) for _ in range(100)))
    assert {(a.status_code, a.content) for a in answers} == {(201, answers[0].content)}
    assert sum("idempotency-replayed" not in a.headers for a in answers) == 1
    assert await small.scalar("select total from counters") == 7
    assert await small.scalar("select count(*) from outbox") == 1


async def test_a_twin_waits_for_the_first_and_gets_its_reply(small: Small) -> None:
    await small.bump(amount=1)
    async with small.database.begin(actor="test") as blocker:
        await execute(blocker.session, text("select 1 from counters for update"))
        first = asyncio.create_task(small.bump(key="k-1", amount=5))
        await until(lambda: waiting(small, 1), what="the first to stand before the row")
        twin = asyncio.create_task(small.bump(key="k-1", amount=5))
        # In a batch, a twin waits in the process, for whoever is at work on the same counter.
        before_the_key = 2 if small.bumping == "bump" else 1
        await until(lambda: waiting(small, before_the_key), what="the twin to wait too")
    answers = [await first, await twin]
    assert [a.status_code for a in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert await small.scalar("select total from counters") == 6


async def test_a_twin_that_waited_too_long_is_told_that_the_first_is_at_work(
    small: Small,
) -> None:
    async with small.database.engine.connect() as holder:
        # As a first request that has claimed its key and is not done; in the end it gives up.
        await holder.execute(
            text(
                "insert into idempotency_keys (scope, key, fingerprint, created_at)"
                " values (:scope, 'k-1', '', now())"
            ),
            {"scope": f"api_key:managerk {small.bumping}"},
        )
        answer = await small.bump(key="k-1")
        assert (answer.status_code, code_of(answer)) == (409, "idempotency_in_flight")
        assert await nothing_happened(small)
    assert (await small.bump(key="k-1")).status_code == 201


@pytest.mark.parametrize(
    ("refusal", "status"), [(Taken(id="order-1"), 409), (NotFound(), 404)], ids=["409", "404"]
)
async def test_a_refusal_of_the_business_is_kept_under_its_key(
    small: Small, refusal: Refusal, status: int
) -> None:
    small.knobs.before_commit = raising(refusal)
    first = await small.bump(key="k-1")
    assert (first.status_code, code_of(first)) == (status, refusal.code)
    assert await nothing_happened(small)
    small.knobs.before_commit = lambda _: None
    again = await small.bump(key="k-1")
    assert (again.status_code, again.content) == (status, first.content)
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotency-replayed"] == "true"
    assert await nothing_happened(small)
    assert (await small.bump(key="k-2")).status_code == 201


async def test_a_hundred_refused_at_once_under_one_key_get_one_answer(small: Small) -> None:
    small.knobs.before_commit = raising(Taken(id="order-1"))
    answers = await asyncio.gather(*(small.bump(key="k-1") for _ in range(100)))
    replayed = [a for a in answers if "idempotency-replayed" in a.headers]
    assert {a.status_code for a in answers} == {409}
    assert len({a.content for a in replayed}) == 1
    assert await small.scalar("select count(*) from idempotency_keys") == 1
    assert await nothing_happened(small)


async def test_what_the_request_itself_got_wrong_is_not_kept(small: Small) -> None:
    small.knobs.before_commit = raising(InvalidField(pointer="/amount", reason="invalid"))
    assert (await small.bump(key="k-1")).status_code == 422
    small.knobs.before_commit = lambda _: None
    assert (await small.bump(key="k-1", amount=3)).status_code == 201


async def test_a_fault_keeps_nothing_and_the_same_key_works_afterwards(small: Small) -> None:
    small.knobs.before_commit = raising(RuntimeError("a defect"))
    failed = await small.bump(key="k-1")
    assert (failed.status_code, code_of(failed)) == (500, "internal_error")
    assert "a defect" not in failed.text
    assert failed.json()["request_id"] == failed.headers["x-request-id"] != ""
    assert await nothing_happened(small)
    assert await small.scalar("select count(*) from idempotency_keys") == 0
    small.knobs.before_commit = lambda _: None
    assert (await small.bump(key="k-1")).status_code == 201


async def test_a_commit_that_fails_keeps_no_reply(small: Small) -> None:
    await small.change(
        "create function no() returns trigger language plpgsql as"
        " $$ begin raise exception 'no' using errcode = '53100'; end $$"
    )
    await small.change(
        "create constraint trigger no after insert on outbox deferrable initially deferred"
        " for each row execute function no()"
    )
    failed = await small.bump(key="k-1")
    assert (failed.status_code, code_of(failed)) == (503, "temporarily_unavailable")
    assert failed.headers["retry-after"] == "1"
    assert await nothing_happened(small)
    await small.change("drop trigger no on outbox")
    retried = await small.bump(key="k-1")
    assert retried.status_code == 201
    assert "idempotency-replayed" not in retried.headers


async def test_a_key_belongs_to_its_caller_and_its_operation(small: Small) -> None:
    await small.bump(key="k-1", amount=1)
    await small.bump(key="k-1", amount=1, principal=OTHER)
    other = await small.call(
        "bump_otherwise",
        "POST",
        "/v1/counters/visits/other_bumps",
        json={"amount": 1},
        headers={"Idempotency-Key": "k-1"},
    )
    assert other.json()["total"] == 3


async def waiting(small: Small, count: int) -> bool:
    """Whether this many backends wait for a lock in the service's database."""
    found = await small.scalar(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    return bool(found >= count)
