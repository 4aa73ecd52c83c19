"""Files of points that meet merges and reversals which began earlier than they take effect.

A transaction's moment is when it began, and processes' clocks differ: what happened first is known
from who held the accounts first, not from the clocks.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.kernel.clock import FixedClock
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_points_world import balance, counts, customer, imported
from tests.integration.loyalty.members_world import bought, merge, part, totals
from tests.integration.loyalty.people import points_of
from tests.integration.loyalty.racing import order_lock, race, second
from tests.support.service import NOON, ServiceUnderTest, Starter

SOURCE, TARGET = "customer-7", "customer-8"
MEMBERS = "select * from members for update"


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def pair(loyalty: ServiceUnderTest) -> tuple[str, str]:
    """The source and the target, with an imported balance each."""
    await imported(loyalty, [balance("A", 5), balance("B", 7, identity_value=TARGET)])
    return await customer(loyalty, SOURCE), await customer(loyalty, TARGET)


async def behind(loyalty: ServiceUnderTest, start: Starter) -> ServiceUnderTest:
    """Another process of the same service, whose clock runs a second behind."""
    url = loyalty.database.engine.url.render_as_string(hide_password=False)
    clock = FixedClock(NOON - timedelta(seconds=1))
    return await start("loyalty", clock=clock, database_url=url)


@asynccontextmanager
async def held(loyalty: ServiceUnderTest, lock: str) -> AsyncIterator[None]:
    """Somebody else holds a lock meanwhile."""
    engine = create_async_engine(loyalty.database.engine.url, poolclass=NullPool)
    try:
        async with engine.connect() as holder:
            await holder.execute(text(lock))
            yield
    finally:
        await engine.dispose()


async def test_a_line_posted_while_a_reversal_waited_is_not_posted_again_after_it(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await pair(loyalty)
    order_id = await bought(loyalty, source, points=50)
    made = await merge(loyalty, target, source)
    async with held(loyalty, order_lock(order_id)):
        parting = asyncio.ensure_future(part(loyalty, made["id"]))

        async def meanwhile() -> dict[str, Any]:
            loyalty.clock.advance(timedelta(seconds=1))
            return await imported(loyalty, [balance("C", 100)])

        assert counts(await second(loyalty, meanwhile())) == (1, 0, 0)
    parted = await parting

    again = await imported(loyalty, [balance("C", 100)])

    assert counts(again) == (0, 1, 0)
    assert (await points_of(loyalty, source))["available"] == 5
    assert (await points_of(loyalty, target))["available"] == 107
    assert parted["merged_at"] < parted["reversal"]["reversed_at"]
    await audit(loyalty)


@pytest.mark.parametrize("late", ["import", "reversal"])
async def test_what_began_before_what_it_follows_is_known_all_the_same(
    loyalty: ServiceUnderTest, start: Starter, late: str
) -> None:
    slow = await behind(loyalty, start)
    source, target = await pair(loyalty)
    made = await merge(loyalty, target, source)
    await imported(slow if late == "import" else loyalty, [balance("C", 100)])
    await part(slow if late == "reversal" else loyalty, made["id"])

    again = await imported(loyalty, [balance("A", 5), balance("C", 100)])

    assert counts(again) == (0, 2, 0)
    assert await totals(loyalty) == 112


async def test_a_chain_of_merges_taken_back_by_clocks_that_differ_still_knows_the_line(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    slow = await behind(loyalty, start)
    source, target = await pair(loyalty)
    await imported(loyalty, [balance("X", 1, identity_value="customer-9")])
    last = await customer(loyalty, "customer-9")
    first = await merge(loyalty, target, source)
    second_one = await merge(slow, last, target)
    await imported(slow, [balance("C", 100)])
    await part(slow, second_one["id"])
    await part(slow, first["id"])

    again = await imported(slow, [balance("C", 100)])

    assert counts(again) == (0, 1, 0)
    await audit(loyalty)


async def test_what_the_target_alone_got_says_nothing_of_the_source_whatever_the_clocks(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    """The merge comes with a clock behind what the target got before, and so does what it got
    after the reversal.
    """
    slow = await behind(loyalty, start)
    source, target = await pair(loyalty)
    made = await merge(slow, target, source)
    await part(loyalty, made["id"])
    await imported(slow, [balance("E", 3, identity_value=TARGET)])

    again = await imported(loyalty, [balance("B", 7), balance("E", 3)])

    assert counts(again) == (2, 0, 0)
    assert (await points_of(loyalty, source))["available"] == 15


@pytest.mark.parametrize("by_id", [False, True], ids=["by identity", "by id"])
async def test_a_line_that_was_the_survivors_before_a_reversal_is_the_sources_after_it(
    loyalty: ServiceUnderTest, *, by_id: bool
) -> None:
    """The reversal holds both when the line's member is looked up, and commits before the line is
    posted.
    """
    source, target = await pair(loyalty)
    made = await merge(loyalty, target, source)
    name = {"member_id": source, "identity_value": None} if by_id else {}
    line = balance("C", 100, **name)
    ended: Any
    _, ended = await race(
        loyalty,
        part(loyalty, made["id"]),
        second(loyalty, imported(loyalty, [line])),
        at=MEMBERS,
        meeting=2,
    )

    again = await imported(loyalty, [line])

    assert (counts(ended), counts(again)) == ((1, 0, 0), (0, 1, 0))
    assert (await points_of(loyalty, source))["available"] == 105
    assert (await points_of(loyalty, target))["available"] == 7
    await audit(loyalty)
