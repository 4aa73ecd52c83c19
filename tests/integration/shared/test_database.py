"""Transactions: deadlocks are survived, waits end, troubles are told apart from faults."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.db import Database, Transaction, UnsafeDatabase, is_transient
from shared.kernel.clock import FixedClock
from shared.settings import async_url
from shared.sql import execute
from tests.integration.shared.small_service import Bumped, Small, SmallStarter
from tests.servers import shared_servers
from tests.support.service import NOON


@pytest.fixture
async def small(start_small: SmallStarter) -> Small:
    started = await start_small()
    await started.change("insert into counters values ('a', 0), ('b', 0)")
    return started


async def raise_state(transaction: Transaction, state: str) -> None:
    await execute(
        transaction.session,
        text(f"do $$ begin raise exception 'planted' using errcode = '{state}'; end $$"),
    )


async def change_of_mind(transaction: Transaction) -> None:
    transaction.record(Bumped(name="a", amount=1), subject="a")
    raise RuntimeError


async def test_a_deadlock_is_broken_and_both_get_through(small: Small) -> None:
    both_hold_one = asyncio.Barrier(2)
    attempts = []

    async def cross(transaction: Transaction, *names: str) -> None:
        first_time = names not in attempts
        attempts.append(names)
        for name in names:
            await execute(
                transaction.session,
                text("update counters set total = total + 1 where name = :name"),
                {"name": name},
            )
            if first_time and name == names[0]:
                await both_hold_one.wait()

    await asyncio.gather(
        small.database.run(lambda t: cross(t, "a", "b"), actor="test"),
        small.database.run(lambda t: cross(t, "b", "a"), actor="test"),
    )
    assert len(attempts) == 3
    assert await small.scalar("select sum(total) from counters") == 4


@pytest.mark.parametrize(
    ("state", "times"), [("40P01", 3), ("40001", 3), ("55P03", 1), ("23505", 1)]
)
async def test_only_what_postgresql_rolled_back_is_run_again_and_not_for_ever(
    small: Small, state: str, times: int
) -> None:
    attempts = []

    async def fail(transaction: Transaction) -> None:
        attempts.append(transaction)
        transaction.record(Bumped(name="a", amount=1), subject="a")
        await raise_state(transaction, state)

    with pytest.raises(DBAPIError):
        await small.database.run(fail, actor="test")
    assert len({id(one) for one in attempts}) == times
    assert await small.scalar("select count(*) from outbox") == 0


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("55P03", 503),
        ("57014", 503),
        ("57P01", 503),
        ("53300", 503),
        ("40001", 503),
        ("23505", 500),
        ("22003", 500),
        ("42P01", 500),
    ],
)
async def test_what_will_pass_is_503_and_what_is_our_fault_is_500(
    small: Small, state: str, status: int
) -> None:
    await small.change(
        "create function no() returns trigger language plpgsql as"
        f" $$ begin raise exception 'planted' using errcode = '{state}'; end $$"
    )
    await small.change(
        "create trigger no before insert on counters for each row execute function no()"
    )
    answer = await small.bump("a")
    assert answer.status_code == status
    assert "planted" not in answer.text
    assert await small.scalar("select count(*) from outbox") == 0


async def test_a_row_that_somebody_keeps_locked_ends_in_503(small: Small) -> None:
    async with small.database.engine.connect() as other:
        await other.execute(text("select 1 from counters for update"))
        answer = await small.bump("a")
    assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable")
    assert (await small.bump("a")).status_code == 201


async def test_every_connection_has_its_limits(small: Small) -> None:
    wanted = {
        "lock_timeout": "2s",
        "statement_timeout": "10s",
        "TimeZone": "UTC",
        "idle_in_transaction_session_timeout": "30s",
        "transaction_isolation": "read committed",
    }
    for name, value in wanted.items():
        assert await small.scalar(f"show {name}") == value


@pytest.mark.parametrize("value", [2**63, "text", "\ud800"])
async def test_a_value_that_cannot_be_sent_is_a_fault_and_not_a_passing_trouble(
    small: Small, value: object
) -> None:
    column = "name" if value == "\ud800" else "total"
    with pytest.raises((DBAPIError, ValueError)) as raised:
        await small.rows(f"select * from counters where {column} = :value", value=value)
    assert not is_transient(raised.value)


async def test_an_error_does_not_quote_the_values_of_its_statement(small: Small) -> None:
    with pytest.raises(DBAPIError) as raised:
        await small.rows("select 1 / (length(:name) - 3)", name="王小明")
    assert "王小明" not in str(raised.value)


async def test_a_severed_connection_is_a_passing_trouble_and_the_next_one_works(
    small: Small,
) -> None:
    with pytest.raises(DBAPIError) as raised:
        await small.rows("select pg_terminate_backend(pg_backend_pid())")
    assert is_transient(raised.value)
    assert await small.scalar("select 1") == 1


async def test_events_are_in_the_log_with_the_commit_or_not_at_all(small: Small) -> None:
    rung = []
    small.database.on_events = lambda: rung.append(True)
    with pytest.raises(RuntimeError):
        await small.database.run(change_of_mind, actor="test")
    async with small.database.begin(actor="test"):
        pass
    assert rung == []
    async with small.database.begin(actor="test") as transaction:
        for amount, name in enumerate(["b", "a", "b"], start=1):
            transaction.record(Bumped(name=name, amount=amount), subject=name)
        assert rung == []
    assert rung == [True]
    rows = await small.rows("select * from outbox order by id")
    assert [(r.subject, r.subject_version, r.data["amount"]) for r in rows] == [
        ("b", 1, 1),
        ("a", 1, 2),
        ("b", 2, 3),
    ]
    assert {r.occurred_at for r in rows} == {NOON}


async def test_a_database_that_may_forget_is_refused() -> None:
    with shared_servers(durable=False) as forgetful:
        database = Database(async_url(forgetful.admin_url), service="test", clock=FixedClock(NOON))
        with pytest.raises(UnsafeDatabase, match="fsync"):
            await database.refuse_unless_durable()
        await database.close()


async def test_commits_that_do_not_wait_for_the_disk_are_refused(
    start_small: SmallStarter,
) -> None:
    url = await start_small.database()
    small = await start_small(database_url=url)
    name = await small.scalar("select current_database()")
    await small.change(f'alter database "{name}" set synchronous_commit = off')
    with pytest.raises(UnsafeDatabase, match="synchronous_commit"):
        await start_small(database_url=url)
