"""Applying events: each effect once and in order, a failure holds up its own subject only."""

import asyncio

import pytest
from sqlmodel import Field, SQLModel

from shared.db import Transaction
from shared.events.applying import apply_batch, on
from shared.events.cursor import Cursor, CursorMoved
from tests.integration.shared.listening import Ear, apply, event, heard, parked, position
from tests.integration.shared.small_service import PRODUCER, Bumped, Small, SmallStarter

BEGINNING = Cursor(producer=PRODUCER, epoch=None, pos=0, event_id=None)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
async def consumer(start_small: SmallStarter, ear: Ear) -> Small:
    return await start_small(handlers=ear.handlers)


class Counter(SQLModel, table=True):
    """A counter as the ORM sees it."""

    __tablename__ = "counters"

    name: str = Field(primary_key=True)
    total: int


async def test_a_lasting_failure_parks_its_subject_and_lets_the_others_flow(
    consumer: Small, ear: Ear
) -> None:
    ear.troubles["b"] = ValueError("of a name: 王小明")
    await apply(consumer, ear, [event(1, "a"), event(2, "b"), event(3, "a"), event(4, "b")])
    await apply(consumer, ear, [event(5, "b"), event(6, "c")])
    assert await heard(consumer) == [("a", 1), ("a", 3), ("c", 6)]
    assert await parked(consumer) == [
        (2, "ValueError", "parked"),
        (4, None, "parked"),
        (5, None, "parked"),
    ]
    assert await position(consumer) == 6
    told = await consumer.rows("select data->>'name' as name from outbox order by id")
    assert [row.name for row in told] == ["a", "a", "c"]


async def test_what_the_contract_does_not_allow_is_parked(consumer: Small, ear: Ear) -> None:
    await apply(consumer, ear, [event(1, "a", data={"name": "a"}), event(2, "b")])
    assert await parked(consumer) == [(1, "ValidationError", "parked")]
    assert await heard(consumer) == [("b", 2)]


async def test_a_value_that_no_column_holds_is_parked_and_not_tried_for_ever(
    consumer: Small, ear: Ear
) -> None:
    big = {"name": "a", "amount": 2**63}
    await apply(consumer, ear, [event(1, "a", data=big), event(2, "b")])
    assert [(pos, state) for pos, _, state in await parked(consumer)] == [(1, "parked")]
    assert await heard(consumer) == [("b", 2)]


async def test_a_newer_version_is_parked_and_what_nobody_asked_for_is_passed_over(
    consumer: Small, ear: Ear
) -> None:
    await apply(
        consumer,
        ear,
        [
            event(1, "a", type="counter.bumped.v2"),
            event(2, "a"),
            event(3, "b", type="counter.bumped.v0"),
            event(4, "b", type="counter.dropped.v1"),
            event(5, "b", type="nonsense"),
        ],
    )
    assert await parked(consumer) == [(1, "UnknownVersion", "parked"), (2, None, "parked")]
    assert (await heard(consumer), await position(consumer)) == ([], 5)


@pytest.mark.parametrize("trouble", [OSError(), TimeoutError(), ConnectionResetError()], ids=repr)
async def test_a_passing_trouble_moves_nothing_even_beside_a_lasting_one(
    consumer: Small, ear: Ear, trouble: Exception
) -> None:
    ear.troubles = {"a": ValueError(), "b": trouble}
    events = [event(1, "a"), event(2, "b"), event(3, "c")]
    with pytest.raises(type(trouble)):
        await apply(consumer, ear, events)
    assert (await heard(consumer), await parked(consumer), await position(consumer)) == ([], [], 0)
    ear.troubles = {}
    await apply(consumer, ear, events)
    assert await heard(consumer) == [("a", 1), ("b", 2), ("c", 3)]


async def test_of_replicas_at_once_one_wins_and_nothing_is_doubled(
    consumer: Small, ear: Ear
) -> None:
    events = [event(n) for n in range(1, 51)]
    results = await asyncio.gather(
        *(
            apply_batch(
                consumer.database,
                cursor=BEGINNING,
                events=events,
                handlers=ear.handlers,
                service="referral",
            )
            for _ in range(8)
        ),
        return_exceptions=True,
    )
    assert results.count(None) == 1
    assert {type(result) for result in results} == {type(None), CursorMoved}
    assert [amount for _, amount in await heard(consumer)] == list(range(1, 51))


async def test_a_replica_that_finds_another_at_work_for_long_leaves_it_to_that_one(
    consumer: Small, ear: Ear
) -> None:
    await apply(consumer, ear, [event(1)])
    async with consumer.database.engine.connect() as other:
        await other.exec_driver_sql("select 1 from event_cursors for update")
        with pytest.raises(CursorMoved):
            await apply(consumer, ear, [event(2)])
    assert (await heard(consumer), await position(consumer)) == ([("visits", 1)], 1)


async def test_a_handler_finds_what_the_one_before_it_wrote(consumer: Small) -> None:
    calls = []

    async def count(transaction: Transaction, data: Bumped) -> None:
        calls.append(data.amount)
        counter = await transaction.session.get(Counter, data.name)
        if counter is None:
            transaction.session.add(Counter(name=data.name, total=data.amount))
        else:
            counter.total += data.amount

    await apply_batch(
        consumer.database,
        cursor=BEGINNING,
        events=[event(1), event(2), event(3)],
        handlers=dict([on(Bumped, count)]),
        service="referral",
    )
    assert await consumer.scalar("select total from counters") == 6
    assert calls == [1, 2, 3]


class TestAfterARewind:
    """The log is read again from its beginning while events of it are parked or decided."""

    LOG = [event(1, "a"), event(2, "b"), event(3, "a"), event(4, "a"), event(5, "b")]

    async def rewound(self, consumer: Small, ear: Ear) -> None:
        await consumer.change("delete from heard")
        answer = await consumer.call(
            "rewind_referral_subscription",
            "POST",
            f"/v1/services/referral/subscriptions/{PRODUCER}/rewind",
        )
        assert answer.status_code == 204
        assert await position(consumer) == 0
        await apply(consumer, ear, self.LOG)
        assert await position(consumer) == 5

    async def test_what_is_parked_stays_parked_once(self, consumer: Small, ear: Ear) -> None:
        await apply(consumer, ear, self.LOG[:2])
        ear.troubles["a"] = ValueError()
        await apply(consumer, ear, self.LOG[2:])
        ear.troubles.clear()
        before = await parked(consumer)
        await self.rewound(consumer, ear)
        assert (
            await parked(consumer)
            == before
            == [
                (3, "ValueError", "parked"),
                (4, None, "parked"),
            ]
        )
        assert await heard(consumer) == [("a", 1), ("b", 2), ("b", 5)]

    async def test_what_was_skipped_stays_skipped_and_holds_nobody_up(
        self, consumer: Small, ear: Ear
    ) -> None:
        ear.troubles["a"] = ValueError()
        await apply(consumer, ear, self.LOG[:3])
        await consumer.change("update parked_events set state = 'skipped' where pos = 1")
        await consumer.change("update parked_events set state = 'applied' where pos = 3")
        ear.troubles.clear()
        await self.rewound(consumer, ear)
        assert await heard(consumer) == [("b", 2), ("a", 3), ("a", 4), ("b", 5)]
        assert await parked(consumer) == [(1, "ValueError", "skipped"), (3, None, "applied")]

    async def test_what_was_applied_late_and_fails_now_waits_once_more(
        self, consumer: Small, ear: Ear
    ) -> None:
        ear.troubles["b"] = ValueError()
        await apply(consumer, ear, self.LOG)
        await consumer.change("update parked_events set state = 'applied', resolved_at = now()")
        await self.rewound(consumer, ear)
        assert await parked(consumer) == [(2, "ValueError", "parked"), (5, None, "parked")]
        assert await heard(consumer) == [("a", 1), ("a", 3), ("a", 4)]
