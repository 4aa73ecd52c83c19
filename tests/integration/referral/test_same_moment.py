"""Facts of the same moment: none is overlooked, and none is decided about twice."""

import asyncio
from collections.abc import Callable

import pytest

from services.referral.subscribers import FROM_LOYALTY
from shared.contracts.envelope import EventData
from tests.integration.referral.at_once import FIFTY, TWENTY_EACH, at_once, due, events_of
from tests.integration.referral.loyalty_played import (
    DAY,
    Circle,
    completed,
    enrolled,
    imported,
    member_id,
    paid,
    refunded,
)
from tests.support.service import NOON
from tests.support.waiting import until

#: Two facts at the same moment: what was heard before, the two, and where they must lead.
PAIRS: dict[
    str,
    tuple[
        Callable[[Circle], list[EventData]],
        Callable[[Circle], list[EventData]],
        tuple[str, str | None],
    ],
] = {
    "an enrolment and an order": (
        lambda _: [],
        lambda c: [enrolled(c.referee, code=c.code), paid(c.referee, "SO-1")],
        ("completed", "SO-1"),
    ),
    "two orders": (
        lambda c: [enrolled(c.referee, code=c.code)],
        lambda c: [paid(c.referee, "SO-1"), paid(c.referee, "SO-2", at=NOON + 2 * DAY)],
        ("completed", "SO-1"),
    ),
    "an order and its refund": (
        lambda c: [enrolled(c.referee, code=c.code)],
        lambda c: [paid(c.referee, "SO-1"), refunded(c.referee, "SO-1")],
        ("reversed", None),
    ),
    "a refund and a next order": (
        lambda c: [enrolled(c.referee, code=c.code), paid(c.referee, "SO-1")],
        lambda c: [refunded(c.referee, "SO-1"), paid(c.referee, "SO-2", at=NOON + 2 * DAY)],
        ("completed", "SO-2"),
    ),
    "two halves of a refund": (
        lambda c: [enrolled(c.referee, code=c.code), paid(c.referee, "SO-1")],
        lambda c: [
            refunded(c.referee, "SO-1", fen=14_950, in_full=False, refund="R-1"),
            refunded(c.referee, "SO-1", fen=14_950, in_full=False, refund="R-2"),
        ],
        ("reversed", None),
    ),
    "an order and an import of an old one": (
        lambda c: [enrolled(c.referee, code=c.code)],
        lambda c: [
            paid(c.referee, "SO-1"),
            imported((c.referee, "OLD-1", NOON - 99 * DAY)),
        ],
        ("rejected", None),
    ),
}


@pytest.mark.parametrize("turned", [False, True], ids=["as told", "turned round"])
@pytest.mark.parametrize("pair", sorted(PAIRS))
async def test_a_fact_waits_for_another_of_the_same_member_to_be_decided_about(
    circle: Circle, pair: str, turned: bool
) -> None:
    before, facts, expected = PAIRS[pair]
    # Something was heard of the member, so that no new row holds up the one who comes second.
    await circle.tell(refunded(circle.referee, "SO-9"), *before(circle))
    first, second = events_of(circle, *facts(circle)[:: -1 if turned else 1])
    database = circle.referral.database
    async with database.begin(actor="event:loyalty") as transaction:
        await FROM_LOYALTY[first.type](transaction, first)
        late = asyncio.create_task(at_once(circle, [second]))
        await until(lambda: done_or_waiting(circle, late), what="the second fact to be heard")
    await late
    await circle.loyalty.answer()
    referral = await circle.of_referee()
    assert (referral["state"], referral["first_order_id"]) == expected


async def done_or_waiting(circle: Circle, task: "asyncio.Task[None]") -> bool:
    """Whether a task has ended or its transaction waits for another's lock."""
    waiting = await circle.referral.scalar(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    return task.done() or waiting > 0


async def test_of_fifty_different_orders_at_once_one_is_the_first(circle: Circle) -> None:
    await circle.enrol()
    # The earliest is heard of last but a few, while others have been decided about already.
    orders = [paid(circle.referee, f"SO-{n}", at=NOON + (n + 1) * DAY) for n in range(50)]
    await at_once(circle, events_of(circle, *orders[7::-1], *orders[8:]))
    await circle.loyalty.answer()
    assert await circle.rewards(live=False) == [*TWENTY_EACH, FIFTY]
    assert (await circle.of_referee())["first_order_id"] == "SO-0"
    assert await due(circle) == 3


async def test_an_order_and_its_refund_at_once_leave_no_reward(circle: Circle) -> None:
    await circle.enrol()
    facts = [paid(circle.referee, "SO-1"), refunded(circle.referee, "SO-1")]
    await at_once(circle, events_of(circle, *facts) * 20)
    await circle.loyalty.answer()
    assert await circle.rewards() == TWENTY_EACH
    assert (await circle.of_referee())["state"] == "reversed"


async def test_of_an_enrolment_and_an_order_at_the_same_moment_neither_is_overlooked(
    circle: Circle,
) -> None:
    members = [member_id() for _ in range(30)]
    # Something was heard of each before, so that no new row holds up the one who comes second.
    await circle.tell(*(completed(member, f"SO-{n}") for n, member in enumerate(members)))
    events = events_of(
        circle,
        *(
            fact
            for number, member in enumerate(members)
            for fact in (enrolled(member, code=circle.code), paid(member, f"SO-{number}"))
        ),
    )
    await at_once(circle, events)
    await circle.loyalty.answer()
    states = await circle.referral.rows("select state, count(*) from referrals group by state")
    assert [tuple(row) for row in states] == [("completed", 30)]
