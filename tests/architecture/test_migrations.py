"""Every stair of every database can be climbed up, down and up again, and leads to the models."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.migrate import alembic_config, migrate
from shared.settings import async_url
from tests.support.databases import Databases, package_of
from tests.support.service import SERVICES, metadata_of

T = TypeVar("T")
ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("service", SERVICES)
def test_each_migration_goes_up_down_and_up_again(databases: Databases, service: str) -> None:
    url = async_url(databases.empty(f"stairs_{service}"))
    config = alembic_config(package_of(service), url=url)
    stairs = list(ScriptDirectory.from_config(config).walk_revisions())[::-1]
    for stair in stairs:
        command.upgrade(config, stair.revision)
        command.downgrade(config, str(stair.down_revision or "base"))
        command.upgrade(config, stair.revision)
    assert differences(url, metadata_of(service)) == []
    command.downgrade(config, "base")
    assert tables(url) == ["alembic_version"]


@pytest.mark.parametrize("service", SERVICES)
def test_migrating_twice_at_once_is_as_good_as_once(databases: Databases, service: str) -> None:
    url = async_url(databases.empty(f"twice_{service}"))
    migrators = [
        subprocess.Popen(
            [sys.executable, "-m", "shared.migrate", package_of(service)],
            cwd=ROOT,
            env={**os.environ, f"{service.upper()}_DATABASE_URL": url},
        )
        for _ in range(2)
    ]
    assert [migrator.wait(timeout=60) for migrator in migrators] == [0, 0]
    assert differences(url, metadata_of(service)) == []


@pytest.mark.parametrize("service", SERVICES)
def test_the_log_begins_with_its_one_head(databases: Databases, service: str) -> None:
    url = async_url(databases.empty(f"head_{service}"))
    migrate(package_of(service), url=url)
    assert in_database(url, lambda c: c.execute(text("select pos from feed_head")).all()) == [(0,)]


def differences(url: str, metadata: MetaData) -> list[object]:
    """What Alembic would still change to come from the database to the models."""

    def compare(connection: Connection) -> list[object]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        )

    return in_database(url, compare)


def tables(url: str) -> list[str]:
    """What tables and sequences a database holds."""
    statement = text(
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
        " and relkind in ('r', 'S') order by relname"
    )
    return in_database(url, lambda connection: list(connection.execute(statement).scalars()))


def in_database(url: str, work: Callable[[Connection], T]) -> T:
    """Run something synchronous on a connection of its own."""

    async def run() -> T:
        engine = create_async_engine(url, poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    return asyncio.run(run())
