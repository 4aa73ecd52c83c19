"""Runs: once whatever happens, resumable, and true to the day they are of."""

import asyncio
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text

from services.segmentation.domain.facts import PaidOrder
from services.segmentation.operations.facts import record_order
from services.segmentation.operations.runs import BATCH_MEMBERS, advance
from shared.kernel.clock import FixedClock
from shared.sql import execute
from tests.integration.segmentation.checks import assert_live_is, tell_all
from tests.integration.segmentation.from_scratch import a_history, expected
from tests.integration.segmentation.loyalty_feed import (
    TODAY,
    a_member,
    at,
    enrolled,
    imported,
    members_imported,
    moves_told,
    paid,
    past_order,
    run_of,
    run_today,
    tell,
    work,
)
from tests.support.service import NOON, ServiceUnderTest, Starter
from tests.support.waiting import until

MANY = BATCH_MEMBERS + 200


async def two_replicas(start: Starter) -> tuple[ServiceUnderTest, ServiceUnderTest]:
    """The same service twice on one database."""
    url = start.databases.fresh("segmentation")
    clock = FixedClock(NOON)
    first = await start("segmentation", clock=clock, database_url=url)
    return first, await start("segmentation", clock=clock, database_url=url)


async def many_buyers(service: ServiceUnderTest) -> list[str]:
    """More members than one batch scores, each with an imported order of another week."""
    buyers = sorted(a_member() for _ in range(MANY))
    orders = [
        past_order(buyer, 9_900 + number, TODAY - timedelta(days=number % 300))
        for number, buyer in enumerate(buyers)
    ]
    await tell(service, members_imported(buyers), imported(orders))
    return buyers


async def show(service: ServiceUnderTest, run_id: object) -> dict[str, object]:
    """A run as it is now."""
    found: dict[str, object] = (await service.call("show_segment_run", run_id=run_id)).json()
    return found


async def test_a_run_shows_its_progress_and_goes_on_where_it_was_interrupted(
    start: Starter,
) -> None:
    before, after = await two_replicas(start)
    buyers = await many_buyers(before)
    asked = await before.call("start_segment_run", json={})
    run_id = asked.json()["id"]
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    assert asked.json()["as_of"] == TODAY.isoformat()

    for _ in ("begin", "measure", "first batch"):
        await before.database.run(advance, actor="job:advance_segment_run")
    halfway = await show(after, run_id)
    await work(after)
    done = await show(after, run_id)

    assert (halfway["state"], halfway["total"], halfway["scored"]) == (
        "running",
        MANY,
        BATCH_MEMBERS,
    )
    assert (done["state"], done["scored"], done["moved"]) == ("done", MANY, MANY)
    assert await moves_told(after, buyers[0]) == await moves_told(before, buyers[0]) != []


async def test_two_replicas_at_one_run_score_everybody_once(start: Starter) -> None:
    one, other = await two_replicas(start)
    history = a_history(seed=11, members=MANY, days=600, imported_share=1)
    await tell_all(one, history.events)
    run_id = (await one.call("start_segment_run", json={})).json()["id"]

    async def help_until_done(replica: ServiceUnderTest) -> None:
        while (await show(replica, run_id))["state"] in ("queued", "running"):
            await work(replica)

    await asyncio.gather(help_until_done(one), help_until_done(other))

    assert (await show(one, run_id))["scored"] == MANY
    await assert_live_is(one, expected(history, as_of=TODAY))
    assert await one.rows("select member_id from segment_snapshots where version > 1") == []
    twice = await one.rows(
        "select subject from outbox group by subject, type, data->>'scheme' having count(*) > 1"
    )
    assert twice == []


async def test_while_one_replica_takes_a_run_further_the_other_leaves_it_alone(
    start: Starter,
) -> None:
    one, other = await two_replicas(start)
    await one.call("start_segment_run", json={})

    async with one.database.begin(actor="job:advance_segment_run") as transaction:
        assert await advance(transaction) == 1
        assert await other.database.run(advance, actor="job:advance_segment_run") == 0

    assert await other.database.run(advance, actor="job:advance_segment_run") == 1


async def test_ten_who_ask_at_once_for_a_day_get_one_run(start: Starter) -> None:
    one, other = await two_replicas(start)

    replies = await asyncio.gather(
        *(replica.call("start_segment_run", json={}) for replica in (one, other) * 5)
    )

    assert {reply.status_code for reply in replies} == {202}
    assert len({reply.json()["id"] for reply in replies}) == 1
    await work(one)
    later = await one.call("start_segment_run", json={})
    assert later.json()["id"] != replies[0].json()["id"]


async def test_each_day_has_one_night_from_two_in_the_morning_in_shanghai(start: Starter) -> None:
    one, other = await two_replicas(start)
    one.clock.at = datetime(2026, 11, 23, 17, 59, tzinfo=UTC)  # 01:59 of the 24th
    assert await work(one, "plan_night_run") == 0

    one.clock.advance(timedelta(minutes=1))
    await asyncio.gather(work(one, "plan_night_run"), work(other, "plan_night_run"))
    await work(one)
    await work(other, "plan_night_run")
    one.clock.advance(timedelta(days=1))
    await work(other, "plan_night_run")

    runs = await one.rows("select as_of, cause from segment_runs order by id")
    assert [tuple(run) for run in runs] == [
        (date(2026, 11, 24), "night"),
        (date(2026, 11, 25), "night"),
    ]


async def test_only_the_night_puts_a_member_to_sleep(start: Starter) -> None:
    service = await start("segmentation")
    lin = a_member()
    await tell(service, paid(lin, 25_900, TODAY - timedelta(days=89)))
    awake = (await service.call("show_member_segment", member_id=lin)).json()

    service.clock.advance(timedelta(days=1))
    await work(service, "plan_night_run", "advance_segment_run")
    asleep = (await service.call("show_member_segment", member_id=lin)).json()

    assert (awake["recency_days"], awake["group"]) == (89, None)
    assert (asleep["recency_days"], asleep["group"]) == (90, "sleeping")
    assert (await moves_told(service, lin))[-1] == ("segment.entered.v1", "group", "sleeping")
    (snapshot,) = await service.rows("select * from segment_snapshots where valid_to is null")
    assert (snapshot.cause, snapshot.as_of) == ("night", TODAY + timedelta(days=1))


async def test_an_import_is_scored_once_when_it_has_gone_quiet(start: Starter) -> None:
    service = await start("segmentation")
    lin, wang = a_member(), a_member()
    old = TODAY - timedelta(days=30)
    await tell(service, members_imported([lin, wang]), imported([past_order(lin, 9_900, old)]))
    service.clock.advance(timedelta(seconds=9))
    await tell(service, imported([past_order(lin, 19_900, TODAY)]))
    service.clock.advance(timedelta(seconds=9))

    assert await work(service, "plan_import_run", "advance_segment_run") == 0
    assert (await service.call("list_segments")).json()["unscored"] == 1
    waiting = (await service.call("show_member_segment", member_id=lin)).json()
    assert await moves_told(service, lin) == []
    service.clock.advance(timedelta(seconds=1))
    await work(service, "plan_import_run", "advance_segment_run")
    scored = (await service.call("show_member_segment", member_id=lin)).json()

    assert (waiting["frequency"], waiting["monetary_fen"], waiting["r"]) == (2, 29_800, 5)
    assert (scored["frequency"], scored["monetary_fen"], scored["r"]) == (2, 29_800, 5)
    assert (await service.call("list_segments")).json()["unscored"] == 0
    causes = await service.rows("select distinct data->>'cause' as cause, subject from outbox")
    assert [tuple(row) for row in causes] == [("import", lin)]
    assert await work(service, "plan_import_run", "advance_segment_run") == 0


async def test_a_late_fact_is_seen_in_a_day_that_a_run_had_kept(start: Starter) -> None:
    service = await start("segmentation")
    lin, day = a_member(), TODAY - timedelta(days=10)
    await tell(service, enrolled(lin, day))
    run = await run_of(service, day)
    assert await sizes(service, day) == {"prospect": 1}

    await tell(service, paid(lin, 25_900, day))
    other_day = await run_of(service, day - timedelta(days=1))

    assert await sizes(service, day) == {"general_develop": 1}
    assert (await show(service, run["id"]))["outdated"] is True
    assert (await show(service, other_day["id"]))["outdated"] is False


async def test_a_run_waits_for_facts_that_are_being_written(start: Starter) -> None:
    service = await start("segmentation")
    lin, day = a_member(), TODAY - timedelta(days=10)
    order = PaidOrder(order_id="SO-LATE", member_id=lin, paid_fen=25_900, paid_at=at(day))
    await service.call("start_segment_run", json={"as_of": day.isoformat()})

    async def somebody_waits() -> bool:
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        return bool(await service.scalar(waiting))

    async with service.database.begin(actor="event:loyalty") as transaction:
        await record_order(transaction, order=order)
        running = asyncio.create_task(work(service))
        await until(somebody_waits, what="the run to wait for the facts")
    await running

    (run,) = await service.rows("select * from segment_runs")
    assert (run.state, run.total, run.outdated) == ("done", 1, False)
    assert await sizes(service, day) == {"general_develop": 1}


async def test_orders_that_come_while_a_run_is_at_work_are_not_lost(start: Starter) -> None:
    service = await start("segmentation")
    buyers = await many_buyers(service)
    run_id = (await service.call("start_segment_run", json={})).json()["id"]
    for _ in ("begin", "measure", "first batch"):
        await service.database.run(advance, actor="job:advance_segment_run")

    await tell(service, paid(buyers[0], 500_000), paid(buyers[-1], 500_000))
    await work(service)

    assert (await show(service, run_id))["state"] == "done"
    for buyer in (buyers[0], buyers[-1]):
        found = (await service.call("show_member_segment", member_id=buyer)).json()
        assert (found["recency_days"], found["frequency"]) == (0, 2)
        assert found["monetary_fen"] > 500_000
        (now,) = await service.rows("select r, m from member_rfm where member_id = :id", id=buyer)
        assert (now.r, now.m) == (5, 5)


async def test_a_run_that_cannot_go_on_fails_by_name_and_lets_the_next_one_work(
    start: Starter,
) -> None:
    service = await start("segmentation")
    await tell(service, enrolled(a_member()))
    run_id = (await service.call("start_segment_run", json={})).json()["id"]
    for _ in ("begin", "measure"):
        await service.database.run(advance, actor="job:advance_segment_run")
    async with service.database.begin(actor="test") as transaction:
        await execute(transaction.session, text("delete from threshold_sets"))

    await work(service)
    failed = await show(service, run_id)
    next_one = await run_today(service)

    assert (failed["state"], failed["error"]) == ("failed", "NoResultFound")
    assert next_one["state"] == "done"


async def sizes(service: ServiceUnderTest, day: date) -> dict[str, int]:
    """The parts of the classic scheme that had members on a day."""
    reply = await service.call("list_segments", params={"as_of": day.isoformat()})
    return {part["code"]: part["size"] for part in reply.json()["data"] if part["size"]}
