"""A service's part in moving a sandbox's clock, through its internal door."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from shared.db import Transaction
from shared.http.tokens import Principal
from shared.jobs import Job
from shared.kernel.clock import rfc3339
from shared.sql import execute
from tests.integration.shared.small_service import Small, SmallStarter
from tests.support.service import NOON
from tests.support.waiting import until

DAY = timedelta(days=1)
GATEWAY = Principal(kind="service", id="gateway")
OPERATIONS = {"stop": "stop_clock", "visit": "visit_moment", "go": "let_clock_go"}


async def tell(small: Small, what: str, **body: object) -> httpx.Response:
    return await small.call(
        OPERATIONS[what],
        "POST",
        f"/internal/test_clock/{what}",
        principal=GATEWAY,
        json=body,
    )


@pytest.fixture
async def small(start_small: SmallStarter) -> Small:
    return await start_small(mode="sandbox")


@pytest.mark.parametrize("what", OPERATIONS)
async def test_a_live_service_has_no_way_to_move_its_clock(
    start_small: SmallStarter, what: str
) -> None:
    live = await start_small(mode="live")
    reply = await tell(live, what, at=rfc3339(NOON + DAY), offset_us=1)
    assert reply.status_code == 404
    assert live.database.clock.now() == NOON


@pytest.mark.parametrize("what", OPERATIONS)
async def test_nobody_but_the_gateway_itself_moves_it(small: Small, what: str) -> None:
    reply = await small.call(
        OPERATIONS[what],
        "POST",
        f"/internal/test_clock/{what}",
        json={"offset_us": 1} if what == "go" else {"at": rfc3339(NOON + DAY)},
    )
    assert reply.status_code == 403
    assert small.database.clock.now() == NOON


async def test_it_stops_visits_and_goes_on(small: Small) -> None:
    stopped = await tell(small, "stop", at=rfc3339(NOON - DAY))
    assert stopped.json() == {"at": "2026-11-23T04:00:00Z"}, "never back, but where it is"
    small.clock.advance(timedelta(hours=1))
    assert small.database.clock.now() == NOON
    visited = await tell(small, "visit", at=rfc3339(NOON + DAY))
    assert visited.json() == {
        "done": 0,
        "more": False,
        "head": 0,
        "unsequenced": 0,
        "cursors": {},
        "due": {},
    }
    assert small.database.clock.now() == NOON + DAY
    gone = await tell(small, "go", offset_us=23 * 3_600_000_000)
    assert gone.status_code == 200
    small.clock.advance(timedelta(minutes=1))
    assert small.database.clock.now() == NOON + DAY + timedelta(minutes=1)


async def test_no_moment_is_visited_while_it_flows_or_once_it_is_past(small: Small) -> None:
    flowing = await tell(small, "visit", at=rfc3339(NOON + DAY))
    assert (flowing.status_code, flowing.json()["code"]) == (409, "clock_not_stopped")
    await tell(small, "stop", at=rfc3339(NOON + DAY))
    past = await tell(small, "visit", at=rfc3339(NOON))
    assert (past.status_code, past.json()["code"]) == (409, "clock_not_stopped")
    assert small.database.clock.now() == NOON + DAY


async def test_other_processes_follow_and_a_new_one_begins_where_it_is(
    start_small: SmallStarter,
) -> None:
    url = await start_small.database()
    one = await start_small(database_url=url, mode="sandbox")
    two = await start_small(database_url=url, mode="sandbox")
    await tell(one, "stop", at=rfc3339(NOON + DAY))
    await until(lambda: two.database.clock.now() == NOON + DAY, what="the other process to follow")
    three = await start_small(database_url=url, mode="sandbox")
    assert three.database.clock.now() == NOON + DAY
    await tell(one, "go", offset_us=2 * 86_400_000_000)
    await until(lambda: two.database.clock.now() == NOON + 2 * DAY, what="it to follow again")


async def test_ordinary_jobs_rest_while_the_clock_stands_and_a_visit_does_their_work(
    start_small: SmallStarter,
) -> None:
    async def step(transaction: Transaction) -> int:
        taken = await execute(
            transaction.session, text("update counters set total = 1 where total = 0")
        )
        return taken.rowcount

    job = Job(name="bumping", every_s=0.01, step=step)
    small = await start_small(mode="sandbox", background=True, jobs=[job])
    await small.change("insert into counters values ('before', 0)")

    async def bumped() -> bool:
        return bool(await small.scalar("select bool_and(total = 1) from counters"))

    await until(bumped, what="the job")
    await tell(small, "stop", at=rfc3339(NOON + DAY))
    await small.change("insert into counters values ('while it stands', 0)")
    assert small.app.state.timekeeper.clock.setting.standing
    visited = await tell(small, "visit", at=rfc3339(NOON + DAY))
    assert visited.json()["done"] == 1, "nobody else had done it"
    await small.change("insert into counters values ('after', 0)")
    await tell(small, "go", offset_us=86_400_000_000)
    await until(bumped, what="the job, again")
