"""What has been written in the ledger cannot be changed, by the service's own role or any other."""

from pathlib import Path
from typing import Final

import asyncpg
import pytest

from shared.settings import async_url
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.ledger_world import checkpoint, dump_of, write_history
from tests.integration.loyalty.people import redeem, spendable
from tests.support.databases import Databases
from tests.support.service import ServiceUnderTest, Starter

TABLES: Final = (
    "point_entries", "lot_allocations", "ledger_checkpoints", "ledger_checkpoint_heads",
)  # fmt: skip
CHANGES: Final = (
    "update {0} set {1} = {1}",
    "delete from {0}",
    "truncate {0}",
    "update {0} set {1} = {1} where false",
)
COLUMN: Final = dict.fromkeys(TABLES, "member_id") | {"ledger_checkpoints": "number"}


@pytest.fixture
async def own_role(start: Starter, databases: Databases) -> ServiceUnderTest:
    """The service with a role that owns its database, as the runner and compose make it."""
    return await start("loyalty", database_url=async_url(databases.owned("loyalty")))


async def refusal(service: ServiceUnderTest, statement: str) -> str:
    """What PostgreSQL says to a statement in the service's own role."""
    url = service.database.engine.url.set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError) as refused:
            await connection.execute(statement)
    finally:
        await connection.close()
    return str(refused.value).splitlines()[0]


async def test_the_services_own_role_writes_the_ledger_and_cannot_change_it(
    own_role: ServiceUnderTest,
) -> None:
    member_id = await spendable(own_role, points=100)
    assert (await redeem(own_role, member_id, points=60)).status_code == 201
    assert await checkpoint(own_role) == 1
    before = [await own_role.scalar(f"select count(*) from {table}") for table in TABLES]
    assert min(before) > 0
    for table in TABLES:
        for change in CHANGES:
            said = await refusal(own_role, change.format(table, COLUMN[table]))
            assert said == f"permission denied for table {table}"
    assert before == [await own_role.scalar(f"select count(*) from {table}") for table in TABLES]
    assert await audit(own_role) > 0


async def test_a_superuser_is_told_why_it_cannot_change_the_ledger(start: Starter) -> None:
    loyalty = await start("loyalty")
    await write_history(loyalty, members=2, entries=6)
    assert await checkpoint(loyalty) == 1
    assert await loyalty.scalar("select rolsuper from pg_roles where rolname = current_user")
    for table in TABLES:
        for change in CHANGES:
            statement = change.format(table, COLUMN[table])
            said = await refusal(loyalty, statement)
            assert said == f"{table} is append-only: {statement.split()[0]} is refused"
    assert await audit(loyalty) > 0


async def test_a_restored_dump_is_as_append_only_as_before(
    own_role: ServiceUnderTest, tmp_path: Path
) -> None:
    await write_history(own_role, members=2, entries=6)
    dump = await dump_of(own_role, tmp_path / "loyalty.sql")
    written = dump.read_text("utf-8")
    owner = await own_role.scalar("select current_user")
    for table in TABLES:
        assert f"CREATE TRIGGER {table}_append_only BEFORE DELETE OR UPDATE OR TRUNCATE" in written
        assert f"REVOKE ALL ON TABLE public.{table} FROM {owner};" in written
