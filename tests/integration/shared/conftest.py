"""Small services for the tests of what all services share."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.integration.shared.forms import form_router
from tests.integration.shared.small_service import Small, SmallStarter
from tests.servers import Servers
from tests.support.databases import Databases


@pytest.fixture
async def start_small(servers: Servers, databases: Databases) -> AsyncIterator[SmallStarter]:
    """Start small services: `await start_small()`."""
    async with AsyncExitStack() as stack:
        yield SmallStarter(databases=databases, redis_url=servers.redis_url(2), stack=stack)


@pytest.fixture(scope="session")
async def forms(servers: Servers, databases: Databases) -> AsyncIterator[Small]:
    """A service with the form, one for all tests that leave nothing behind."""
    async with AsyncExitStack() as stack:
        start = SmallStarter(databases=databases, redis_url=servers.redis_url(2), stack=stack)
        yield await start(routers=[form_router()])
