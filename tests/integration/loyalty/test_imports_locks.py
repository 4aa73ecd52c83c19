"""Imports take locks in the order of everybody: orders' ids, accounts by id, members' rows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.db import sqlstate
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_points_world import balance
from tests.integration.loyalty.imports_world import imported, line, ndjson
from tests.integration.loyalty.members_world import erase, merge, owner
from tests.integration.loyalty.people import enrol, points_of
from tests.integration.loyalty.racing import ACCOUNTS, race, second
from tests.support.service import ServiceUnderTest, Starter

_DEADLOCK = "40P01"
_ACCOUNT = "select from accounts where member_id = '{id}' for update"
_ROW_AT_ONCE = "select from members where id = '{id}' for update nowait"
_ACCOUNT_AT_ONCE = "select from accounts where member_id = '{id}' for update nowait"


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


@asynccontextmanager
async def somebody(loyalty: ServiceUnderTest) -> AsyncIterator[Any]:
    """A connection of somebody else's, in a transaction that is undone."""
    engine = create_async_engine(loyalty.database.engine.url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def refund_early(loyalty: ServiceUnderTest, order_id: str) -> None:
    """Report a refund of an order that nobody has heard of yet."""
    body = {
        "refund_id": f"RF-{order_id}",
        "amount_fen": 9_900,
        "refunded_at": "2025-11-24T12:00:00+08:00",
    }
    reply = await loyalty.call("refund_order", order_id=order_id, json=body)
    assert reply.status_code == 201, reply.text


async def sending(loyalty: ServiceUnderTest, what: str, member_id: str) -> dict[str, Any]:
    """Send a file of one line about a member, of a kind that needs the account."""
    of_member = {"member_id": member_id, "identity_value": None}
    if what == "points":
        file = ndjson([balance("A", 10, **of_member)])
        return await imported(loyalty, file, operation="import_points")
    file = ndjson([line(1, **of_member)])
    return await imported(loyalty, file, earn="true" if what == "earning orders" else "false")


async def at_once(loyalty: ServiceUnderTest, lock: str) -> None:
    """Take a lock that must be free, and let go of it."""
    async with somebody(loyalty) as other:
        await other.execute(text(lock))


@pytest.mark.parametrize("what", ["points", "earning orders", "orders with early refunds"])
async def test_an_import_that_waits_for_an_account_does_not_hold_the_members_row(
    loyalty: ServiceUnderTest, what: str
) -> None:
    member_id = await enrol(loyalty)
    if what == "orders with early refunds":
        await refund_early(loyalty, "H-1")
    async with somebody(loyalty) as holder:
        await holder.execute(text(_ACCOUNT.format(id=member_id)))
        uploading = asyncio.ensure_future(sending(loyalty, what, member_id))

        await second(loyalty, at_once(loyalty, _ROW_AT_ONCE.format(id=member_id)))

    ended = await uploading
    assert (ended["state"], ended["refused"]) == ("done", 0)


async def test_accounts_of_orders_whose_refunds_came_first_are_locked_by_their_ids(
    loyalty: ServiceUnderTest,
) -> None:
    """In the order of the orders' ids, the later account would be locked first."""
    low, high = sorted([await enrol(loyalty), await enrol(loyalty)])
    await refund_early(loyalty, "H-1")
    await refund_early(loyalty, "H-2")
    lines = [
        line(1, member_id=high, identity_value=None),
        line(2, member_id=low, identity_value=None),
    ]
    async with somebody(loyalty) as holder:
        await holder.execute(text(_ACCOUNT.format(id=low)))
        uploading = asyncio.ensure_future(imported(loyalty, ndjson(lines)))

        await second(loyalty, at_once(loyalty, _ACCOUNT_AT_ONCE.format(id=high)))

    assert (await uploading)["orders"] == 2
    refunded = "select count(*) from orders where refunded_fen = 9900 and state = 'refunded'"
    assert await loyalty.scalar(refunded) == 2


@pytest.mark.parametrize("what", ["points", "earning orders", "orders with early refunds"])
async def test_an_import_that_meets_a_merge_waits_and_neither_is_broken_off(
    loyalty: ServiceUnderTest, what: str
) -> None:
    # The merge waits for the lower id first: it is to stand before the import there.
    source, target = sorted([await enrol(loyalty), await enrol(loyalty)])
    if what == "orders with early refunds":
        await refund_early(loyalty, "H-1")
    broken: list[str | None] = []

    def note(context: Any) -> None:
        broken.append(sqlstate(context.sqlalchemy_exception))

    event.listen(loyalty.database.engine.sync_engine, "handle_error", note)

    _, ended = await race(
        loyalty,
        merge(loyalty, target, source),
        second(loyalty, sending(loyalty, what, source)),
        at=ACCOUNTS,
        meeting=2,
    )

    assert _DEADLOCK not in broken
    assert (ended["state"], ended["refused"]) == ("done", 0)
    if what == "points":
        assert (await points_of(loyalty, target))["available"] == 10
    else:
        assert await owner(loyalty, "orders", "order_id", "H-1") == target
    await audit(loyalty)


async def test_a_line_of_somebody_who_is_erased_meanwhile_is_refused(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    erased: Any
    ended: Any
    erased, ended = await race(
        loyalty,
        erase(loyalty, member_id),
        second(loyalty, sending(loyalty, "points", member_id)),
        at=ACCOUNTS,
        meeting=2,
    )
    assert erased.status_code == 202
    assert (ended["state"], ended["movements"], ended["refused"]) == ("done", 0, 1)
