"""Work that falls due is done once, by whichever replica comes by."""

import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from shared.db import Transaction
from shared.jobs import Job, apart, first_of, run_due, run_job
from shared.sql import execute
from tests.integration.shared.small_service import Bumped, Small, SmallStarter
from tests.support.waiting import until

PIECE = 10
DUE = 95


@pytest.fixture
async def small(start_small: SmallStarter) -> Small:
    """Ninety-five counters at zero, all of them due."""
    started = await start_small()
    await started.change(
        "insert into counters select 'c' || n, 0 from generate_series(1, :due) n", due=DUE
    )
    return started


async def step(transaction: Transaction) -> int:
    """Bump the next counters that stand at zero and are nobody else's."""
    taken = await execute(
        transaction.session,
        text(
            "update counters set total = total + 1 where name in (select name from counters"
            " where total = 0 limit :piece for update skip locked) returning name"
        ),
        {"piece": PIECE},
    )
    names = list(taken.scalars())
    for name in names:
        transaction.record(Bumped(name=name, amount=1), subject=name)
    return len(names)


def job(**changed: object) -> Job:
    given: dict[str, object] = {"name": "bumping", "every_s": 0.01, "step": step, **changed}
    return Job(**given)  # type: ignore[arg-type]


async def once_each(small: Small) -> bool:
    """Whether every counter was bumped exactly once, with its event."""
    done = await small.scalar("select count(*) from counters where total = 1")
    events = await small.scalar("select count(distinct subject) from outbox")
    return bool(done == events == DUE)


async def test_all_that_is_due_is_done_piece_by_piece(small: Small) -> None:
    assert await run_due(job(), database=small.database) == DUE
    assert await once_each(small)
    assert await run_due(job(), database=small.database) == 0


async def test_replicas_share_the_work_and_never_repeat_it(small: Small) -> None:
    counts = await asyncio.gather(*(run_due(job(), database=small.database) for _ in range(5)))
    assert sum(counts) == DUE
    assert await once_each(small)
    assert await small.scalar("select count(*) from outbox") == DUE


async def test_a_piece_that_fails_leaves_nothing_and_is_done_at_the_next_run(small: Small) -> None:
    troubles = [TimeoutError(), RuntimeError("a defect"), OSError()]

    async def failing(transaction: Transaction) -> int:
        count = await step(transaction)
        if troubles:
            raise troubles.pop()
        return count

    before = failed_runs()
    task = asyncio.create_task(
        run_job(job(step=failing), database=small.database, service="referral")
    )
    await until(lambda: once_each(small), what="the work to be done in the end")
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert failed_runs() - before == 3
    assert await small.scalar("select count(*) from outbox") == DUE


async def test_the_application_runs_its_jobs_by_itself(start_small: SmallStarter) -> None:
    url = await start_small.database()
    small = await start_small(database_url=url, background=True, jobs=[job()])
    await small.change("insert into counters values ('a', 0)")

    async def bumped() -> bool:
        return bool(await small.scalar("select total = 1 from counters"))

    await until(bumped, what="the job")


def failed_runs() -> float:
    labels = {"service": "referral", "job": "bumping", "outcome": "failed"}
    return REGISTRY.get_sample_value("huitou_job_runs_total", labels) or 0.0


async def test_who_cannot_be_served_is_left_out_alone_and_leaves_nothing_behind(
    small: Small,
) -> None:
    tries: list[list[str]] = []

    async def bump(transaction: Transaction, names: Sequence[str]) -> int:
        tries.append(list(names))
        for name in names:
            raised = "update counters set total = total + 1 where name = :name"
            await execute(transaction.session, text(raised), {"name": name})
            transaction.record(Bumped(name=name, amount=1), subject=name)
            if name == "c2":
                await execute(transaction.session, text("select 1 / 0"), {})
        return len(names)

    async def three(transaction: Transaction) -> int:
        names = ["c3", "c2", "c1"]
        return await apart(transaction, names, lambda some: bump(transaction, some))

    assert await small.database.run(three, actor="job:three") == 2
    assert tries == [["c3", "c2", "c1"], ["c3"], ["c2", "c1"], ["c2"], ["c1"]]
    bumped = await small.rows("select name from counters where total = 1 order by name")
    assert [row.name for row in bumped] == ["c1", "c3"]
    told = await small.rows("select subject from outbox order by id")
    assert [row.subject for row in told] == ["c3", "c1"]
    left_out = {"actor": "job:three"}
    assert REGISTRY.get_sample_value("huitou_job_left_out_total", left_out) == 1
    assert await small.database.run(lambda tx: apart(tx, [], bump_nobody), actor="job:three") == 0


async def test_a_run_goes_past_all_whom_it_left_out_and_the_next_one_tries_them_again(
    small: Small,
) -> None:
    broken = {f"c{n}" for n in range(10, 10 + 3 * PIECE)}

    async def due(transaction: Transaction) -> list[str]:
        """The next names, of which the broken ones come first."""
        wanted = (
            "select name from counters where total = 0 and name <> all(cast(:but as text[]))"
            " order by length(name) <> 3, name limit :piece"
        )
        given = {"but": list(transaction.left_out), "piece": PIECE}
        return list((await execute(transaction.session, text(wanted), given)).scalars())

    async def bump(transaction: Transaction, names: Sequence[str]) -> int:
        if broken.intersection(names):
            raise RuntimeError("broken")
        await execute(
            transaction.session,
            text("update counters set total = 1 where name = any(cast(:names as text[]))"),
            {"names": list(names)},
        )
        return len(names)

    async def together(transaction: Transaction) -> int:
        names = await due(transaction)
        return await apart(transaction, names, lambda some: bump(transaction, some))

    async def singly(transaction: Transaction) -> int:
        names = await due(transaction)
        return await first_of(transaction, names, lambda one: bump(transaction, [one]))

    for step_ in (together, singly):
        await small.change("update counters set total = 0")
        assert await run_due(job(step=step_), database=small.database) == DUE - len(broken)
        rest = await small.rows("select name from counters where total = 0")
        assert {row.name for row in rest} == broken
        assert await run_due(job(step=step_), database=small.database) == 0, "and it ends"
    mended, broken = broken, set()
    assert await run_due(job(step=singly), database=small.database) == len(mended)


async def test_a_run_that_is_to_end_soon_does_some_work_first(small: Small) -> None:
    async def first_is_broken(transaction: Transaction) -> int:
        if "c1" not in transaction.left_out:
            return await apart(transaction, ["c1"], bump_nobody)
        return await step(transaction)

    done = await run_due(job(step=first_is_broken), database=small.database, go_on=lambda: False)
    assert done == PIECE


async def bump_nobody(_: Sequence[str]) -> int:
    raise AssertionError("nothing is due")


async def test_what_may_pass_by_itself_postpones_the_step_as_a_whole(small: Small) -> None:
    async def away(_: Sequence[str]) -> int:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await small.database.run(lambda tx: apart(tx, ["c1"], away), actor="job:three")
