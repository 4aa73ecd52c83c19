"""Lanes: connections held for long, and what becomes of them when something goes wrong."""

from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest
from sqlalchemy.pool import QueuePool

from shared.db import Database
from shared.kernel.clock import FixedClock
from shared.settings import async_url
from tests.integration.shared.small_service import Small, SmallStarter
from tests.support.databases import Databases
from tests.support.service import NOON
from tests.support.waiting import until

PLACES = 3
OTHERS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
"""


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    url = async_url(databases.empty("lanes"))
    opened = Database(url, service="lanes", clock=FixedClock(NOON), pool_size=PLACES)
    yield opened
    await opened.close()


def taken(database: Database) -> int:
    """How many places of the pool are in use."""
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


async def kill_connections(database: Database) -> None:
    """End all connections from the server's side, as its crash does."""
    url = database.engine.url.set(drivername="postgresql")
    killer = await asyncpg.connect(url.render_as_string(hide_password=False))
    await killer.execute(OTHERS)
    await killer.close()


async def test_a_lane_is_used_again_after_a_refusal_and_after_a_no_of_postgres(
    database: Database,
) -> None:
    async with database.lanes.take() as first:
        await first.fetchval("select 1")
    with pytest.raises(KeyError):
        async with database.lanes.take() as again:
            raise KeyError
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with database.lanes.take() as still:
            await still.execute("select 1 / 0")
    async with database.lanes.take() as last:
        assert first is again is still is last
    assert taken(database) == 1


async def left_in_a_transaction(database: Database) -> asyncpg.Connection:
    """A lane whose user went away in the midst of a transaction."""
    with suppress(KeyError):
        async with database.lanes.take() as lane:
            await lane.execute("begin")
            raise KeyError
    return lane


@pytest.mark.parametrize(
    "lost", [asyncpg.InterfaceError("gone"), asyncpg.InternalClientError("gone"), TimeoutError()]
)
async def test_a_lane_in_doubt_is_thrown_away_and_gives_its_place_back(
    database: Database, lost: Exception
) -> None:
    for _ in range(2 * PLACES):
        with pytest.raises(type(lost)):
            async with database.lanes.take() as doubtful:
                raise lost
        assert doubtful.is_closed()
        assert (await left_in_a_transaction(database)).is_closed()
    assert taken(database) == 0


async def test_lanes_whose_server_died_are_replaced_and_give_their_places_back(
    database: Database,
) -> None:
    for _ in range(2 * PLACES):
        async with database.lanes.take() as one, database.lanes.take() as other:
            assert one is not other
        await kill_connections(database)
        await until(lambda: one.is_closed() and other.is_closed(), what="the news")
        async with database.lanes.take() as fresh:
            assert await fresh.fetchval("select 1") == 1
        assert taken(database) == 1


@pytest.mark.parametrize("door", ["bump", "bump_hot"])
async def test_a_server_that_dies_at_the_commit_is_a_503_and_the_repetition_counts_once(
    start_small: SmallStarter, door: str
) -> None:
    small = await start_small()
    small.bumping = door
    await small.bump(amount=1)
    await small.change(
        "create function die() returns trigger language plpgsql as"
        " $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$"
    )
    await small.change(
        "create constraint trigger die after insert on outbox deferrable initially deferred"
        " for each row execute function die()"
    )
    for _ in range(3 * PLACES):
        lost = await small.bump(key="k-1", amount=5)
        assert (lost.status_code, lost.json()["code"]) == (503, "temporarily_unavailable")
    await small.change("drop trigger die on outbox")
    made = await small.bump(key="k-1", amount=5)
    again = await small.bump(key="k-1", amount=5)
    assert (made.status_code, again.content) == (201, made.content)
    assert await small.scalar("select total from counters") == 6


@pytest.mark.parametrize("door", ["bump", "bump_hot"])
async def test_a_connection_that_lost_its_server_unheard_is_a_503(
    start_small: SmallStarter, door: str
) -> None:
    small = await start_small()
    small.bumping = door

    def lose(_: object) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 12")

    small.knobs.before_commit = lose
    assert (await small.bump(key="k-1")).status_code == 503
    small.knobs.before_commit = lambda _: None
    assert (await small.bump(key="k-1")).status_code == 201
    assert await _bumps(small) == 1


async def _bumps(small: Small) -> int:
    count: int = await small.scalar("select count(*) from outbox")
    return count
