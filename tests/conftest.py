"""Fixtures for every suite: one embedded PostgreSQL and Valkey, a fresh database per test."""

import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import structlog

from tests.servers import Servers, shared_servers
from tests.support.databases import Databases
from tests.support.service import Starter


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The embedded servers, shared by all workers, with fsync on as in production."""
    with shared_servers() as running:
        yield running


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Databases:
    """Makes migrated databases, quickly, from one template per service."""
    return Databases(servers=servers, worker=os.environ.get("PYTEST_XDIST_WORKER", "main"))


@pytest.fixture
async def start(servers: Servers, databases: Databases) -> AsyncIterator[Starter]:
    """Start services in this process, each on a fresh database: `await start("loyalty")`."""
    async with AsyncExitStack() as stack:
        yield Starter(stack=stack, servers=servers, databases=databases)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Applications configure logging for their process; leave none of it to the next test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
