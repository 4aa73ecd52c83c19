"""The runner, as a real process with the real services: `make run` from start to every end."""

import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from deploy.local.server_process import runs
from tests.e2e.runner_process import RunnerProcess
from tests.servers import Servers
from tests.support.waiting import until

ALL = {"loyalty", "referral", "segmentation", "gateway", "postgres", "valkey-server"}
LILY = {"identities": [{"kind": "external", "value": "shop-user-10086"}], "nickname": "小莉"}


async def test_data_and_keys_survive_a_restart_and_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    async with RunnerProcess(tmp_path) as runner:
        key = await runner.first_key()
        first = await _enrol(runner, key, idempotency_key="enrol-lily-1")
        assert first.status_code == 201, first.text
        children = runner.children()
        assert set(children) == ALL
        runner.send(signal.SIGINT)
        assert await runner.exit_code() == 0, runner.said
        assert not [name for name, pid in children.items() if runs(pid)]
    async with RunnerProcess(tmp_path) as runner:
        again = await _enrol(runner, key, idempotency_key="enrol-lily-2")
        assert again.status_code == 200, "a known identity is not enrolled twice"
        assert again.json()["id"] == first.json()["id"]


async def test_the_next_start_works_after_the_runner_was_killed(tmp_path: Path) -> None:
    async with RunnerProcess(tmp_path) as runner:
        key = await runner.first_key()
        first = await _enrol(runner, key, idempotency_key="enrol-lily-1")
        services = {n: pid for n, pid in runner.children().items() if n in {"loyalty", "gateway"}}
        runner.send(signal.SIGKILL)
        assert await runner.exit_code() == -signal.SIGKILL
        await until(
            lambda: not any(runs(pid) for pid in services.values()), what="the services' end"
        )
    async with RunnerProcess(tmp_path) as runner:
        again = await _enrol(runner, key, idempotency_key="enrol-lily-1")
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.json() == first.json()


async def test_what_is_killed_comes_back(tmp_path: Path) -> None:
    async with RunnerProcess(tmp_path) as runner:
        key = await runner.first_key()
        for victim in ("loyalty", "postgres", "valkey-server"):
            killed = runner.children()[victim]
            os.kill(killed, signal.SIGKILL)
            await until(
                lambda: runner.children().get(victim, killed) != killed,  # noqa: B023 - at once
                what=f"the return of {victim}",
            )
        assert "loyalty ended unexpectedly (-9)" in runner.said

        async def enrolled() -> bool:
            answer = await _enrol(runner, key, idempotency_key="enrol-lily-1")
            return answer.status_code == 201

        await until(enrolled, what="an enrolment after all was killed")


async def test_given_servers_are_used_and_none_is_started(tmp_path: Path, servers: Servers) -> None:
    names = [f"{name}_of_{os.getpid()}" for name in sorted(ALL) if name in SERVICE_NAMES]
    given = {
        f"{name.partition('_')[0].upper()}_DATABASE_URL": servers.database_url(name).replace(
            "postgresql://", "postgresql+asyncpg://"
        )
        for name in names
    }
    try:
        async with RunnerProcess(tmp_path, {**given, "REDIS_URL": servers.redis_url(15)}) as runner:
            assert set(runner.children()) == SERVICE_NAMES
            assert (await runner.first_key()).startswith("hk_live_")
    finally:
        for name in names:
            servers.drop_database(name)
    assert not (tmp_path / "postgres").exists()
    assert not (tmp_path / "valkey").exists()


async def test_a_second_runner_on_the_same_data_is_refused(tmp_path: Path) -> None:
    first = await RunnerProcess(tmp_path).start()
    try:
        lock = tmp_path / "runner.lock"
        await until(lambda: lock.exists() and lock.read_text() != "", what="the lock")
        second = await RunnerProcess(tmp_path).start()
        assert await second.exit_code() == 2
        assert str(first.process.pid) in second.said
    finally:
        first.send(signal.SIGTERM)
        assert await first.exit_code() == 0, "stopping works during the start, too"


async def test_a_port_in_use_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        runner = await RunnerProcess(tmp_path, {"PORT": port}).start()
        assert await runner.exit_code() == 2
    assert f"Port {port}" in runner.said
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize(("name", "value"), [("PORT", "eighty"), ("HUITOU_MODE", "test")])
async def test_a_setting_that_makes_no_sense_is_named(
    tmp_path: Path, name: str, value: str
) -> None:
    runner = await RunnerProcess(tmp_path, {name: value}).start()
    assert await runner.exit_code() == 2
    assert name in runner.said
    assert "Traceback" not in runner.said


SERVICE_NAMES = ALL - {"postgres", "valkey-server"}


async def _enrol(runner: RunnerProcess, key: str, *, idempotency_key: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=runner.address, trust_env=False, timeout=20) as client:
        return await client.post(
            "/v1/members",
            json=LILY,
            headers={"Authorization": f"Bearer {key}", "Idempotency-Key": idempotency_key},
        )
