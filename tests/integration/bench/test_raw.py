"""The raw limit is only worth a ratio while it leaves behind what the service does."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from bench.fill import fill, install_raw
from bench.requests import Kind, member_id, order_body, redemption_body, refund_body
from services.loyalty.store.tables import metadata
from shared.sql import execute
from tests.support.databases import Databases
from tests.support.service import ServiceUnderTest, Starter


async def _rows(loyalty: ServiceUnderTest) -> dict[str, int]:
    """How many rows each table has."""
    return {name: await loyalty.scalar(f"select count(*) from {name}") for name in metadata.tables}


async def _as_the_service_does(loyalty: ServiceUnderTest, kind: Kind) -> None:
    if kind == "earn":
        order = json.loads(order_body(order_id="SO-1", member=member_id(1)))
        reply = await loyalty.call("record_order", json=order)
    elif kind == "refund":
        refund = json.loads(refund_body(refund_id="RF-1"))
        reply = await loyalty.call("refund_order", order_id="F-1-1", json=refund)
    else:
        redemption: dict[str, Any] = json.loads(redemption_body(reference="SO-1"))
        reply = await loyalty.call("redeem_points", member_id=member_id(1), json=redemption)
    assert reply.status_code == 201, reply.text


async def _raw(loyalty: ServiceUnderTest, kind: Kind) -> None:
    async with loyalty.database.begin(actor="test") as transaction:
        await execute(transaction.session, text(f"select bench_{kind}(2)"))


@pytest.mark.parametrize("kind", ["earn", "redeem", "refund"])
async def test_the_raw_function_leaves_the_rows_that_the_service_leaves(
    start: Starter, databases: Databases, kind: Kind
) -> None:
    url = databases.fresh("loyalty")
    await fill(url, first=1, last=2)
    await install_raw(url)
    loyalty = await start("loyalty", database_url=url)
    before = await _rows(loyalty)
    await _as_the_service_does(loyalty, kind)
    between = await _rows(loyalty)
    await _raw(loyalty, kind)
    after = await _rows(loyalty)
    added = {name: between[name] - before[name] for name in before}
    assert added["point_entries"] == 1
    assert {name: after[name] - between[name] for name in before} == added
    same = await loyalty.rows(
        "select available, pending, held, debt, growth, tier_code, entry_seq from accounts"
        " where member_id <> :hot order by member_id",
        hot=member_id(0),
    )
    assert len(same) == 2
    assert same[0] == same[1]


async def test_filled_members_have_books_that_agree(start: Starter, databases: Databases) -> None:
    url = databases.fresh("loyalty")
    await fill(url, first=1, last=3)
    loyalty = await start("loyalty", database_url=url)
    disagreeing = await loyalty.rows(
        """
        select accounts.member_id from accounts
        join lateral (
          select * from point_entries where point_entries.member_id = accounts.member_id
          order by seq desc limit 1
        ) as last on true
        join lateral (
          select sum(remaining) as remaining from point_lots
          where point_lots.member_id = accounts.member_id and state = 'available'
        ) as lots on true
        join lateral (
          select count(*) as entries from point_entries
          where point_entries.member_id = accounts.member_id
        ) as numbers on true
        where last.available_after <> accounts.available or lots.remaining <> accounts.available
          or last.seq <> accounts.entry_seq or numbers.entries <> accounts.entry_seq
          or last.hash <> accounts.entry_hash or last.pending_after <> 0
        """
    )
    assert disagreeing == []
    assert await loyalty.scalar("select count(*) from accounts") == 4
