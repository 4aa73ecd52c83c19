"""The embedded servers: crashes, leftovers, and directories that are not for us."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.databases import ensure_database
from deploy.local.failures import CannotRun, NotAsAsked
from deploy.local.files import DirectoryLock
from deploy.local.servers import EmbeddedServers
from tests.servers import Servers


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[EmbeddedServers]:
    """Servers of this test alone, on an empty directory."""
    async with EmbeddedServers(data_directory=tmp_path) as running:
        yield running


async def test_acknowledged_data_is_there_after_both_servers_were_killed(
    embedded: EmbeddedServers,
) -> None:
    url = await embedded.database_url("loyalty")
    await _write_a_point(url)
    await embedded.postgres.kill()
    await embedded.valkey.kill()
    await embedded.start()
    assert await embedded.database_url("loyalty") == url, "services keep their address"
    assert await _points(url) == 1


async def test_a_server_that_still_runs_is_adopted(
    embedded: EmbeddedServers, tmp_path: Path
) -> None:
    second = EmbeddedServers(data_directory=tmp_path)
    await second.start()
    assert second.postgres.process is not None
    assert embedded.postgres.process is not None
    assert second.postgres.process.pid == embedded.postgres.process.pid
    assert second.redis_url == embedded.redis_url
    await second.stop()
    assert not embedded.postgres.alive
    assert not embedded.valkey.alive


async def test_a_lock_file_with_the_number_of_a_stranger_is_no_obstacle(
    embedded: EmbeddedServers, tmp_path: Path
) -> None:
    lock = tmp_path / "postgres" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    await embedded.postgres.stop()
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    await embedded.start()
    assert embedded.postgres.alive


async def test_a_role_reaches_its_own_database_only(embedded: EmbeddedServers) -> None:
    await embedded.database_url("loyalty")
    url = await embedded.database_url("referral")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(url.removesuffix("/referral") + "/loyalty")


async def test_the_data_of_another_major_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    servers = EmbeddedServers(data_directory=tmp_path, with_valkey=False)
    with pytest.raises(CannotRun) as refusal:
        await servers.start()
    assert refusal.value.key == "postgres_version"
    assert sorted(file.name for file in (tmp_path / "postgres").iterdir()) == ["PG_VERSION"]


def test_one_data_directory_has_one_runner(tmp_path: Path) -> None:
    path = tmp_path / "runner.lock"
    with DirectoryLock(path), pytest.raises(NotAsAsked, match=str(os.getpid())):
        DirectoryLock(path).__enter__()
    with DirectoryLock(path):
        assert path.read_text() == str(os.getpid())


@pytest.mark.parametrize("spelling", ["postgresql://", "postgresql+asyncpg://"])
async def test_a_database_that_is_missing_is_made_in_either_spelling(
    servers: Servers, spelling: str
) -> None:
    name = f"made_by_runner_{os.getpid()}_{len(spelling)}"
    plain = servers.database_url(name)
    try:
        for _ in range(2):
            await ensure_database(url=plain.replace("postgresql://", spelling))
        await _write_a_point(plain)
    finally:
        servers.drop_database(name)


async def test_a_wrong_password_is_told_in_words(servers: Servers) -> None:
    wrong = servers.database_url("postgres").replace("huitou:", "huitou:not-", 1)
    with pytest.raises(CannotRun) as refusal:
        await ensure_database(url=wrong)
    assert refusal.value.key == "database_refused"
    assert "not-" not in str(refusal.value)


async def _write_a_point(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("create table points (n int); insert into points values (1)")
    await connection.close()


async def _points(url: str) -> int:
    connection = await asyncpg.connect(url)
    found: int = await connection.fetchval("select sum(n) from points")
    await connection.close()
    return found
