"""Whatever is asked of the database is what the pure definitions say of the same facts."""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from services.segmentation.domain.scoring import Method
from services.segmentation.domain.sizes import Scheme
from services.segmentation.domain.standings import Standing
from shared.contracts.envelope import EventData
from tests.integration.segmentation.from_scratch import (
    Expected,
    History,
    a_history,
    expected,
    expected_measures,
    shuffled,
)
from tests.integration.segmentation.loyalty_feed import TODAY, run_of, run_today, tell
from tests.support.service import ServiceUnderTest, Starter

#: Seed, members and days of history: quantiles twice, too few members, too short a history.
HISTORIES = [(1, 900, 700), (2, 1100, 420), (3, 120, 700), (4, 800, 150)]
BATCH = 150


@pytest.mark.parametrize(("seed", "members", "days"), HISTORIES)
async def test_past_days_are_what_a_recount_from_scratch_says(
    start: Starter, seed: int, members: int, days: int
) -> None:
    service, history = await start("segmentation"), a_history(seed=seed, members=members, days=days)
    await tell_all(service, history.events)

    for ago in (1, 45, days // 2, days + 400):
        day = TODAY - timedelta(days=ago)
        await assert_day_is(service, history, day)


@pytest.mark.parametrize(("seed", "members", "days"), HISTORIES)
async def test_after_a_run_everybody_stands_where_a_recount_from_scratch_puts_them(
    start: Starter, seed: int, members: int, days: int
) -> None:
    service, history = await start("segmentation"), a_history(seed=seed, members=members, days=days)
    await tell_all(service, shuffled(history.events, seed=seed))

    run = await run_today(service)

    assert (run["state"], run["total"], run["scored"]) == ("done", members, members)
    await assert_live_is(service, expected(history, as_of=TODAY))


async def test_quantiles_and_fixed_cuts_both_occur_in_these_histories() -> None:
    methods = [
        expected(a_history(seed=seed, members=members, days=days), as_of=TODAY).thresholds.method
        for seed, members, days in HISTORIES
    ]
    assert methods == [Method.quantile, Method.quantile, Method.fixed, Method.fixed]


@pytest.mark.parametrize("seed", [5, 6])
async def test_facts_in_any_order_and_number_end_in_the_same_state(
    start: Starter, seed: int
) -> None:
    told_once, told_wildly = await start("segmentation"), await start("segmentation")
    history = a_history(seed=seed, members=150, days=500, imported_share=0.3)
    await tell_all(told_once, history.events)
    await tell_all(told_wildly, shuffled(history.events, seed=seed))

    for service in (told_once, told_wildly):
        await run_today(service)

    assert await state(told_wildly) == await state(told_once)


async def test_events_after_a_run_keep_measures_exact_and_scores_by_its_thresholds(
    start: Starter,
) -> None:
    service, history = (
        await start("segmentation"),
        a_history(seed=7, members=600, days=500, imported_share=0.4),
    )
    half = len(history.events) // 2
    await tell_all(service, history.events[:half])
    await run_today(service)
    in_force = await service.rows("select * from threshold_sets where in_force_until is null")
    await tell_all(service, history.events[half:])

    for row in await service.rows("select * from member_rfm where unscored_since is null"):
        measures = expected_measures(history, row.member_id, as_of=TODAY)
        found = (row.last_day and (TODAY - row.last_day).days, row.frequency, row.monetary_fen)
        wanted = (measures.recency_days, measures.frequency, measures.monetary_fen)
        assert found == wanted, row.member_id
    again = await service.rows("select * from threshold_sets where in_force_until is null")
    assert again == in_force


async def test_a_run_of_a_past_day_answers_for_it_and_moves_nobody(start: Starter) -> None:
    service, history = await start("segmentation"), a_history(seed=8, members=900, days=600)
    await tell_all(service, history.events)
    await run_today(service)
    before, told = await state(service), await service.scalar("select count(*) from outbox")
    day = TODAY - timedelta(days=100)

    run = await run_of(service, day)

    wanted = expected(history, as_of=day)
    assert (run["state"], run["live"], run["moved"]) == ("done", False, 0)
    assert run["total"] == run["scored"] == len(wanted.standings)
    assert await service.scalar(
        "select count(*) from segment_sizes where run_id = :id", id=run["id"]
    )
    await assert_day_is(service, history, day)
    assert await state(service) == before
    assert await service.scalar("select count(*) from outbox") == told


async def tell_all(service: ServiceUnderTest, events: Sequence[EventData]) -> None:
    """All events, in batches as the subscriber would fetch them."""
    for first in range(0, len(events), BATCH):
        await tell(service, *events[first : first + BATCH])


async def state(service: ServiceUnderTest) -> list[Any]:
    """Where everybody stands, without the traces of how they came there."""
    return await service.rows(
        "select member_id, as_of, last_day, frequency, monetary_fen, state, r, f, m,"
        " segment, segment_11, segment_group, unscored_since from member_rfm order by member_id"
    )


async def assert_live_is(service: ServiceUnderTest, wanted: Expected) -> None:
    """Everybody's live row, and the sizes that are answered."""
    rows = {row.member_id: row for row in await state(service)}
    assert rows.keys() == wanted.standings.keys()
    for member_id, standing in wanted.standings.items():
        row = rows[member_id]
        found = (
            row.last_day and (row.as_of - row.last_day).days,
            row.frequency,
            row.monetary_fen,
            row.r,
            row.f,
            row.m,
            row.segment,
            row.segment_11,
            row.segment_group,
        )
        assert found == summary(standing), member_id
        assert row.unscored_since is None
    await assert_sizes(service, wanted, day=None)


async def assert_day_is(service: ServiceUnderTest, history: History, day: date) -> None:
    """The sizes of a day, and a handful of members who were there."""
    wanted = expected(history, as_of=day)
    await assert_sizes(service, wanted, day=day)
    there = sorted(wanted.standings)
    for member_id in random.Random(day.toordinal()).sample(there, k=min(8, len(there))):
        reply = await service.call(
            "show_member_segment", member_id=member_id, params={"as_of": day.isoformat()}
        )
        found = reply.json()
        keys = ("recency_days", "frequency", "monetary_fen", "r", "f", "m")
        codes = ("segment", "segment_11", "group")
        got = tuple(found[key] for key in (*keys, *codes))
        assert got == summary(wanted.standings[member_id]), (day, member_id)
        assert (found["as_of"], found["method"]) == (day.isoformat(), wanted.thresholds.method)


async def assert_sizes(service: ServiceUnderTest, wanted: Expected, *, day: date | None) -> None:
    """The sizes of all three schemes as the API gives them."""
    for scheme in Scheme:
        params = {"scheme": scheme.value} | ({"as_of": day.isoformat()} if day else {})
        reply = (await service.call("list_segments", params=params)).json()
        found = {
            part["code"]: (part["size"], part["orders"], part["monetary_fen"])
            for part in reply["data"]
            if part["size"]
        }
        assert found == wanted.sizes(scheme), (day, scheme)
        assert reply["members"] == len(wanted.standings) == sum(n for n, _, _ in found.values())
        cuts = reply["thresholds"]
        assert tuple(cuts["recency_cuts_days"]) == wanted.thresholds.recency_cuts_days
        assert tuple(cuts["frequency_cuts"]) == wanted.thresholds.frequency_cuts
        assert tuple(cuts["monetary_cuts_fen"]) == wanted.thresholds.monetary_cuts_fen
        assert cuts["population"] == wanted.thresholds.population
        assert (cuts["method"], cuts["reason"]) == (
            wanted.thresholds.method,
            wanted.thresholds.reason,
        )


def summary(standing: Standing) -> tuple[object, ...]:
    """A standing as rows and replies have it."""
    measures, scores = standing.measures, standing.scores
    classification = standing.classification
    return (
        measures.recency_days,
        measures.frequency,
        measures.monetary_fen,
        scores.r if scores else None,
        scores.f if scores else None,
        scores.m if scores else None,
        classification.segment.value,
        classification.segment_11.value,
        classification.group.value if classification.group else None,
    )
