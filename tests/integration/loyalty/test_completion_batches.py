"""Completions that arrive together: one transaction for all, and each as if it had come alone."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Any

import pytest

from services.loyalty.domain.orders import CompletionFacts
from services.loyalty.operations.completion_batches import Completing, OrderCompletions
from services.loyalty.store.readings import MemberReader
from shared.lanes import Connection
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.members_world import merge
from tests.integration.loyalty.orders_world import cancelled, shown
from tests.integration.loyalty.people import (
    enrol,
    everything,
    place,
    points_of,
    refund,
    types_of_events,
)
from tests.integration.loyalty.racing import ACCOUNTS, race, second
from tests.integration.loyalty.ways import (
    AT,
    Facts,
    NeverQuick,
    Way,
    completions_of,
    go,
    left_by,
    lives,
    refunds_of,
    run_batch,
    went,
)
from tests.support.service import ServiceUnderTest, Starter

BODY = {"completed_at": "2026-11-23T12:00:00+08:00"}
NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


def facts_of(letter: str, *, seed: int) -> list[Facts]:
    """Completions, some by themselves and some between refunds."""
    received, refunds = completions_of(letter, seed=seed), refunds_of(letter, seed=seed)[:12]
    if seed % 2:
        return [*received, *refunds]
    return [one for one in chain(*zip_longest(received, refunds)) if one is not None]


@pytest.mark.parametrize("seed", range(6))
async def test_every_way_tells_the_same_and_leaves_the_same_rows_and_events(
    loyalty: ServiceUnderTest, seed: int
) -> None:
    ways: dict[str, Way] = {"a": "ordinary", "b": "quick", "c": "careful", "d": "alone"}
    members = await lives(loyalty, "".join(ways), seed=seed)
    before = went("quick")
    told = {
        letter: await go(loyalty, way, facts_of(letter, seed=seed)) for letter, way in ways.items()
    }
    left = {
        letter: await left_by(loyalty, member_id, letter) for letter, member_id in members.items()
    }
    assert went("quick") - before == 24
    for letter in ways:
        assert told[letter] == told["a"], ways[letter]
        assert left[letter] == left["a"], ways[letter]
    await audit(loyalty)


@pytest.mark.parametrize(("quick", "statements"), [(True, 2), (False, 7)])
async def test_any_number_of_completions_takes_as_few_round_trips_as_one(
    loyalty: ServiceUnderTest, quick: bool, statements: int
) -> None:
    members = [await enrol(loyalty) for _ in range(4)]
    orders = [await place(loyalty, one, paid_fen=10_000) for one in members for _ in range(4)]
    completions = OrderCompletions(MemberReader())
    batch = completions if quick else NeverQuick(completions)
    given = [CompletionFacts(order_id=one, completed_at=AT) for one in orders]
    # The first batch learns the programme.
    await run_batch(loyalty, batch, given[:2])
    seen: list[str] = []
    async with loyalty.database.lanes.take() as connection:
        connection.add_query_logger(lambda record: seen.append(record.query))
    await run_batch(loyalty, batch, given[2:])
    await asyncio.sleep(0)  # the driver tells of the last one in the next turn of the loop
    assert len(seen) == statements, seen
    assert await loyalty.scalar("select count(*) from orders where state = 'completed'") == 16


async def test_64_completions_at_once_release_all_points_in_time(
    loyalty: ServiceUnderTest,
) -> None:
    members = [await enrol(loyalty) for _ in range(8)]
    orders = [await place(loyalty, one, paid_fen=10_000) for one in members for _ in range(4)]
    replies = await asyncio.gather(
        *(
            loyalty.call("complete_order", order_id=one, json=BODY)
            for _ in range(2)
            for one in orders
        )
    )
    assert {reply.status_code for reply in replies} == {200}
    assert (await types_of_events(loyalty)).count("order.completed.v1") == 32
    loyalty.clock.advance(timedelta(days=30))
    for member_id in members:
        assert (await points_of(loyalty, member_id)) == {**NOTHING, "available": 400}
    await audit(loyalty)


async def test_what_is_unusual_goes_the_ordinary_way_and_harms_no_neighbour(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await enrol(loyalty), await enrol(loyalty)
    ordinary = [await place(loyalty, target, paid_fen=10_000) for _ in range(3)]
    moved = await place(loyalty, source, paid_fen=10_000)
    await merge(loyalty, target, source)
    before = went("quick")
    known, twice, unknown, *served = await asyncio.gather(
        loyalty.call("complete_order", order_id=moved, json=BODY, key="k-1"),
        loyalty.call(
            "complete_order", order_id=ordinary[0], json={"completed_at": "2026-11-23T03:00:00Z"}
        ),
        loyalty.call("complete_order", order_id="SO-NONE", json=BODY),
        *(loyalty.call("complete_order", order_id=one, json=BODY) for one in ordinary),
    )
    assert (known.status_code, unknown.status_code) == (200, 202)
    # Of two moments for one order, whichever came first counts.
    assert sorted([twice.status_code, served[0].status_code]) == [200, 409]
    assert {reply.status_code for reply in served[1:]} == {200}
    assert went("quick") - before == 5
    kept = await everything(loyalty)
    again = await loyalty.call("complete_order", order_id=moved, json=BODY, key="k-1")
    assert (again.content, again.headers["idempotency-replayed"]) == (known.content, "true")
    assert await everything(loyalty) == kept
    await audit(loyalty)


@pytest.mark.parametrize("completion_first", [True, False])
async def test_a_completion_and_a_cancellation_that_meet_at_the_account_both_count(
    loyalty: ServiceUnderTest, completion_first: bool
) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    both = [
        loyalty.call("complete_order", order_id=order_id, json=BODY),
        cancelled(loyalty, order_id),
    ]
    first, later = both if completion_first else reversed(both)
    await race(loyalty, first, second(loyalty, later), at=ACCOUNTS, meeting=2)
    order = await shown(loyalty, order_id)
    assert None not in (order["completed_at"], order["cancelled_at"])
    assert await points_of(loyalty, member_id) == NOTHING
    await audit(loyalty)


class Overtaken(OrderCompletions):
    """A refund or cancellation comes once the first batch has been read, before it is written."""

    def __init__(self, loyalty: ServiceUnderTest, *, in_full: bool) -> None:
        super().__init__(MemberReader())
        self._loyalty, self._in_full, self._done = loyalty, in_full, False

    async def load(
        self,
        connection: Connection,
        commands: Sequence[CompletionFacts],
        *,
        now: datetime,
        careful: bool,
    ) -> Completing:
        state = await super().load(connection, commands, now=now, careful=careful)
        if not self._done:
            self._done = True
            assert not careful
            order_id = commands[0].order_id
            if self._in_full:
                await cancelled(self._loyalty, order_id)
            else:
                await refund(self._loyalty, order_id, amount_fen=2_000)
        return state


@pytest.mark.parametrize("in_full", [True, False])
async def test_what_happens_between_reading_and_writing_is_never_overwritten(
    loyalty: ServiceUnderTest, in_full: bool
) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    given = [CompletionFacts(order_id=order_id, completed_at=AT)]
    await run_batch(loyalty, Overtaken(loyalty, in_full=in_full), given)
    order: dict[str, Any] = await shown(loyalty, order_id)
    assert order["completed_at"] is not None
    assert order["refunded_fen"] == (10_000 if in_full else 2_000)
    kept = {} if in_full else {"pending": 80}
    assert await points_of(loyalty, member_id) == {**NOTHING, **kept}
    await audit(loyalty)
