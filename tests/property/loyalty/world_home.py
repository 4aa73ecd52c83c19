"""The running service that worlds live in, and what must hold of its rows whatever happened."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy import text

from shared.kernel.clock import FixedClock
from shared.sql import execute
from tests.servers import Servers
from tests.support.databases import Databases
from tests.support.service import NOON, ServiceUnderTest, running

#: One tier that earns 125 points per 100 yuan, so that rounding matters and growth does not.
_ONE_TIER: Final = [
    {"code": "regular", "name": {"zh-CN": "普通会员", "en": "Regular"}, "growth": 0,
     "multiplier_percent": 125, "entitlements": []}
]  # fmt: skip
#: At checkout a point pays a fen, and points may pay all; a few small transfers reach the limits.
_RULES: Final = {
    "redeem": {"points_per_yuan": 100, "max_share_percent": 100, "least_points": 1},
    "transfer": {"daily_limit": 200, "daily_count": 3},
}
_PUBLISH: Final = """
    insert into programme_versions (version, rules, published_by, published_at)
    select 2, jsonb_set(jsonb_set(rules, '{tiers}', cast(:tiers as jsonb)),
      '{points}', rules->'points' || cast(:points as jsonb)), 'test', published_at
    from programme_versions where version = 1
"""
#: What each account of the ledger has by its entries, whose sums say all that is to be said.
_BY_ENTRIES: Final = """
    select account, sum(points)::bigint as points from (
      select credit_account as account, points from point_entries where member_id = any($1)
      union all
      select debit_account, -points from point_entries where member_id = any($1)
    ) as sides group by account
"""
_BY_ACCOUNTS: Final = """
    select sum(available)::bigint as available, sum(pending)::bigint as pending,
      sum(held)::bigint as held, -sum(debt)::bigint as debt,
      coalesce(min(least(available, pending, held, debt)), 0) as least
    from accounts where member_id = any($1)
"""
_BY_LOTS: Final = """
    select coalesce(sum(remaining) filter (where state = 'available'), 0)::bigint as available,
      coalesce(sum(remaining) filter (where state = 'pending'), 0)::bigint as pending
    from point_lots where member_id = any($1)
"""
_LOTS_OFF: Final = """
    select l.member_id, l.id from point_lots l
    left join lot_allocations p on p.member_id = l.member_id and p.lot_id = l.id
    where l.member_id = any($1)
    group by l.member_id, l.id having coalesce(sum(p.points), 0) <> l.remaining
"""


@asynccontextmanager
async def home(
    servers: Servers, databases: Databases
) -> AsyncIterator[tuple[ServiceUnderTest, str]]:
    """The service on a fresh database, whose address comes along.

    It starts as in production; once it has seen that nothing acknowledged could be lost, commits
    wait for the disk no longer, since what is right does not depend on it.
    """
    url = databases.fresh("loyalty")
    async with running(
        "loyalty", clock=FixedClock(NOON), database_url=url, redis_url=servers.redis_url()
    ) as loyalty:
        async with loyalty.database.begin(actor="test") as transaction:
            rules = {"tiers": json.dumps(_ONE_TIER), "points": json.dumps(_RULES)}
            await execute(transaction.session, text(_PUBLISH), rules)
            name = urlsplit(url).path.strip("/")
            quick = f'alter database "{name}" set synchronous_commit = off'
            await execute(transaction.session, text(quick), {})
        await loyalty.database.engine.dispose()
        yield loyalty, url


async def hold_true(connection: asyncpg.Connection, people: Sequence[str]) -> None:
    """Raise AssertionError unless the rows of members who dealt with nobody else agree."""
    sums = {row["account"]: row["points"] for row in await connection.fetch(_BY_ENTRIES, people)}
    has: dict[str, int] = dict(*await connection.fetch(_BY_ACCOUNTS, people))
    assert has.pop("least") >= 0, "a balance is below zero"
    own = {name: sums.pop(name, 0) for name in has}
    assert own == has, f"entries say {own}, accounts {has}"
    lots: dict[str, int] = dict(*await connection.fetch(_BY_LOTS, people))
    assert lots == {name: has[name] for name in lots}, f"lots say {lots}, accounts {has}"
    assert await connection.fetch(_LOTS_OFF, people) == []
    assert sums.pop("transferred", 0) == 0, "what one gave another did not get"
    earned = -sums.pop("issued", 0) - sums.pop("adjusted", 0)
    gone = sum(sums.pop(name, 0) for name in ("redeemed", "expired", "clawed_back", "written_off"))
    assert sums == {}, f"accounts that nobody knows: {sums}"
    assert earned == gone + sum(has.values()), "earned is not spent, lapsed, taken back and left"
