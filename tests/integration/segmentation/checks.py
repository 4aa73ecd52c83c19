"""Comparing what the service says with what the domain says of the same facts."""

import random
from collections.abc import Sequence
from datetime import date
from typing import Any

from services.segmentation.domain.sizes import Scheme
from services.segmentation.domain.standings import Standing
from shared.contracts.envelope import EventData
from tests.integration.segmentation.from_scratch import Expected, History, expected
from tests.integration.segmentation.loyalty_feed import tell
from tests.support.service import ServiceUnderTest

#: Events that the subscriber is taken to fetch at once.
BATCH = 150


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
