"""Whatever is asked of the database is what the pure definitions say of the same facts."""

from datetime import timedelta
from typing import Any

import pytest

from services.segmentation.domain.scoring import Method
from tests.integration.segmentation.checks import assert_day_is, assert_live_is, state, tell_all
from tests.integration.segmentation.from_scratch import (
    a_history,
    expected,
    expected_measures,
    shuffled,
)
from tests.integration.segmentation.loyalty_feed import TODAY, run_of, run_today
from tests.support.service import ServiceUnderTest, Starter

#: Seed, members and days of history: quantiles twice, too few members, too short a history.
HISTORIES = [(1, 900, 700), (2, 1100, 420), (3, 120, 700), (4, 800, 150)]


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
    by = await in_force(service)
    await tell_all(service, history.events[half:])

    for row in await service.rows("select * from member_rfm where unscored_since is null"):
        measures = expected_measures(history, row.member_id, as_of=TODAY)
        found = (row.last_day and (TODAY - row.last_day).days, row.frequency, row.monetary_fen)
        wanted = (measures.recency_days, measures.frequency, measures.monetary_fen)
        assert found == wanted, row.member_id
    assert await in_force(service) == by


async def test_a_run_of_a_past_day_answers_for_it_and_moves_nobody(start: Starter) -> None:
    service, history = await start("segmentation"), a_history(seed=8, members=900, days=600)
    await tell_all(service, history.events)
    await run_today(service)
    before, told = await state(service), await service.scalar("select count(*) from outbox")
    by = await in_force(service)
    day = TODAY - timedelta(days=100)

    run = await run_of(service, day)

    assert await in_force(service) == by
    wanted = expected(history, as_of=day)
    assert (run["state"], run["live"], run["moved"]) == ("done", False, 0)
    assert run["total"] == run["scored"] == len(wanted.standings)
    assert await service.scalar(
        "select count(*) from segment_sizes where run_id = :id", id=run["id"]
    )
    await assert_day_is(service, history, day)
    assert await state(service) == before
    assert await service.scalar("select count(*) from outbox") == told


async def in_force(service: ServiceUnderTest) -> list[Any]:
    """The one set of thresholds that scores live events."""
    sets = await service.rows(
        "select * from threshold_sets where in_force_from is not null and in_force_until is null"
    )
    assert len(sets) == 1
    return sets
