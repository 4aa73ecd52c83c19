"""Sandboxes on servers that do not wait for the disk: a law of hundreds of days, not of crashes."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial

import pytest

from tests.integration.test_clock.sandbox import Jobs, Sandbox, sandbox
from tests.servers import Servers, shared_servers
from tests.support.databases import Databases

Opener = Callable[..., Awaitable[Sandbox]]


@pytest.fixture(scope="session")
def quick_servers() -> Iterator[Servers]:
    """Servers with fsync off."""
    with shared_servers(durable=False) as running:
        yield running


@pytest.fixture(scope="session")
def quick_databases(quick_servers: Servers) -> Databases:
    """Makes databases on them."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return Databases(servers=quick_servers, worker=worker)


@pytest.fixture
async def open_sandbox(quick_servers: Servers, quick_databases: Databases) -> AsyncIterator[Opener]:
    """Start sandboxes: `await open_sandbox()`."""
    async with AsyncExitStack() as stack:

        async def opened(*, jobs: Jobs | None = None) -> Sandbox:
            make = partial(sandbox, databases=quick_databases, redis_url=quick_servers.redis_url())
            return await stack.enter_async_context(make(jobs=jobs))

        yield opened
