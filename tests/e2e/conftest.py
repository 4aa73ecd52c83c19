"""The whole system in real processes, as `make run` starts it, shared by the journeys."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.e2e.runner_process import RunnerProcess
from tests.e2e.storefront import Storefront


@pytest.fixture(scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunnerProcess]:
    """Gateway, services, PostgreSQL and Valkey, on a data directory of their own."""
    runner = RunnerProcess(tmp_path_factory.mktemp("system") / "data")
    async with runner:
        yield runner


@pytest.fixture(scope="session")
async def manager_key(system: RunnerProcess) -> str:
    """The key that `make first-key` makes."""
    return await system.first_key()


@pytest.fixture(scope="session")
async def storefront(system: RunnerProcess, manager_key: str) -> AsyncIterator[Storefront]:
    """A storefront that calls the public API."""
    headers = {"Authorization": f"Bearer {manager_key}"}
    async with httpx.AsyncClient(
        base_url=system.address, headers=headers, timeout=30, trust_env=False
    ) as http:
        yield Storefront(http)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All journeys run in one worker: one system serves them all."""
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.xdist_group("e2e"))
