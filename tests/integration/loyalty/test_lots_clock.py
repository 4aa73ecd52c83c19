"""Time for lots: day by day, from due moment to due moment, or all at once, ends the same."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.lots_world import (
    LOT_JOBS,
    deliver,
    nothing_lapsed_unheard,
    notices,
    publish,
    run,
    shanghai,
)
from tests.integration.loyalty.people import complete, enrol, place, points_of, redeem, refund
from tests.support.service import ServiceUnderTest, Starter

BEGIN = shanghai(2026, 11, 23, 12)
END = BEGIN + timedelta(days=150)
#: Who reads their messages: everybody's every second notice, or nobody's.
Postman = Callable[[ServiceUnderTest], Awaitable[None]]

_STATE = {
    "accounts": """
        select nickname, available, pending, held, debt, entry_seq from accounts
        join members on members.id = member_id order by nickname
    """,
    "lots": "select cause_id, state, remaining, expires_at from point_lots order by cause_id",
    "entries": """
        select kind, points, occurred_at, available_after, nickname from point_entries
        join members on members.id = member_id order by nickname, seq
    """,
    "notices": """
        select notices.state, points, expires_at, deliver_by, nickname
        from expiry_notices as notices join members on members.id = member_id
        order by nickname, expires_at, points
    """,
    "extensions": """
        select lots.cause_id, extended.points, reason, previous_expires_at, extended.expires_at,
          extended.occurred_at
        from expiry_extensions as extended
        join point_lots as lots on lots.member_id = extended.member_id and lots.id = lot_id
        order by lots.cause_id, previous_expires_at
    """,
}


async def nobody(loyalty: ServiceUnderTest) -> None:
    """No channel delivers anything."""


async def sometimes(loyalty: ServiceUnderTest) -> None:
    """Notices of even months are delivered, nearly at once."""
    for notice in await notices(loyalty, state="announced"):
        expires_at = datetime.fromisoformat(notice["expires_at"])
        if expires_at.month % 2 == 0:
            await deliver(loyalty, notice["id"], at=expires_at - timedelta(days=20))


async def settle_at(loyalty: ServiceUnderTest, moment: datetime, postman: Postman) -> None:
    """Move the clock, run all that is due, and let the postman go round at noon 20 days ahead."""
    loyalty.clock.at = moment
    await run(loyalty, *LOT_JOBS)
    if loyalty.clock.now() < END:
        await _go_round(loyalty, postman)


async def _go_round(loyalty: ServiceUnderTest, postman: Postman) -> None:
    """Deliveries are told ten days after their notice was made, as by a slow channel."""
    if postman is nobody:
        return
    at = loyalty.clock.at
    waiting = [
        one
        for one in await notices(loyalty, state="announced")
        if datetime.fromisoformat(one["expires_at"]) > at
    ]
    if waiting:
        loyalty.clock.at = at + timedelta(days=10)
        await postman(loyalty)
        loyalty.clock.at = at


async def next_due(loyalty: ServiceUnderTest) -> datetime | None:
    """The next moment at which something falls due, as a sandbox would look for it."""
    now = loyalty.clock.now()
    found = []
    async with loyalty.database.reading() as session:
        for job in LOT_JOBS:
            if job.next_due is not None:
                found.append(await job.next_due(session, now))
    releases = "select min(available_at) from point_lots where state = 'pending'"
    found.append(await loyalty.scalar(f"{releases} and available_at > :now", now=now))
    return min((moment for moment in found if moment is not None), default=None)


async def day_by_day(loyalty: ServiceUnderTest, postman: Postman) -> None:
    day = BEGIN + timedelta(hours=12)  # at each midnight of Shanghai
    while day < END:
        await settle_at(loyalty, day, postman)
        day += timedelta(days=1)
    await settle_at(loyalty, END, postman)


async def by_due_moments(loyalty: ServiceUnderTest, postman: Postman) -> None:
    while (moment := await next_due(loyalty)) is not None and moment < END:
        await settle_at(loyalty, moment, postman)
    await settle_at(loyalty, END, postman)


async def at_once(loyalty: ServiceUnderTest, postman: Postman) -> None:
    await settle_at(loyalty, END, postman)


async def lives(loyalty: ServiceUnderTest) -> None:
    """Some members: one saves, one spends, one owes, one whose points never lapse."""
    loyalty.clock.at = BEGIN
    await publish(loyalty, policy="rolling", months=1)
    names = ("saver", "spender", "debtor", "keeper")
    saver, spender, debtor, keeper = [await enrol(loyalty, nickname=name) for name in names]
    for number, member_id in enumerate((saver, spender, debtor)):
        order_id = f"SO-first-{number}"
        await place(loyalty, member_id, paid_fen=30_000, order_id=order_id)
        await complete(loyalty, order_id)
    loyalty.clock.at = shanghai(2026, 11, 30, 12)
    await run(loyalty, *LOT_JOBS)
    await redeem(loyalty, spender, points=120)
    await redeem(loyalty, debtor, points=300)
    await refund(loyalty, "SO-first-2", amount_fen=30_000)
    for number, member_id in enumerate((saver, debtor)):
        order_id = f"SO-second-{number}"
        await place(loyalty, member_id, paid_fen=50_000, order_id=order_id)
        await complete(loyalty, order_id)
    await publish(loyalty, version=3, policy="never")
    await place(loyalty, keeper, paid_fen=9_900, order_id="SO-third-0")
    await complete(loyalty, "SO-third-0")


async def state_of(loyalty: ServiceUnderTest) -> dict[str, list[Any]]:
    await audit(loyalty)
    await nothing_lapsed_unheard(loyalty)
    return {
        name: [tuple(row) for row in await loyalty.rows(statement)]
        for name, statement in _STATE.items()
    }


@pytest.mark.parametrize("postman", [nobody, sometimes], ids=["nobody", "sometimes"])
async def test_150_days_in_one_jump_are_150_single_days(start: Starter, postman: Postman) -> None:
    daily, jumping = await start("loyalty"), await start("loyalty")
    for loyalty, walk in ((daily, day_by_day), (jumping, by_due_moments)):
        await lives(loyalty)
        await walk(loyalty, postman)
    single = await state_of(daily)
    assert await state_of(jumping) == single
    lapsed = [entry for entry in single["entries"] if entry[0] == "expired"]
    assert bool(lapsed) == (postman is sometimes)
    assert len(single["extensions"]) >= 2


async def test_jobs_that_come_150_days_late_extend_as_often_as_jobs_in_time(
    start: Starter,
) -> None:
    """All that differs is the reason, which is true: nobody made a notice while they were away."""
    in_time, late = await start("loyalty"), await start("loyalty")
    for loyalty, walk in ((in_time, by_due_moments), (late, at_once)):
        await lives(loyalty)
        await walk(loyalty, nobody)
    first, second = await state_of(in_time), await state_of(late)
    for part in ("accounts", "lots"):
        assert first[part] == second[part]
    moments = [[row[:2] + row[3:] for row in state["extensions"]] for state in (first, second)]
    assert moments[0] == moments[1]
    assert {row[2] for row in first["extensions"]} == {"not_delivered"}
    assert {row[2] for row in second["extensions"]} == {"never_announced"}


async def test_what_was_announced_and_delivered_lapses_at_its_day_however_late_the_job(
    start: Starter,
) -> None:
    loyalty = await start("loyalty")
    loyalty.clock.at = BEGIN
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    await complete(loyalty, order_id)
    loyalty.clock.at = shanghai(2027, 11, 1)
    await run(loyalty, *LOT_JOBS)
    await deliver(loyalty, (await notices(loyalty))[0]["id"])
    loyalty.clock.at = shanghai(2029, 1, 1)
    await run(loyalty, *LOT_JOBS)
    assert await points_of(loyalty, member_id) == {
        "available": 0, "pending": 0, "held": 0, "debt": 0,
    }  # fmt: skip
    occurred = "select occurred_at from point_entries where kind = 'expired'"
    assert await loyalty.scalar(occurred) == shanghai(2027, 12, 1)
    assert await nothing_lapsed_unheard(loyalty) == 1
