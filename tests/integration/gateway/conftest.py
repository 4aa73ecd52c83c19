"""Fixtures: the real gateway in front of recording services."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.integration.gateway.rig import GatewayStarter, GatewayUnderTest
from tests.servers import Servers
from tests.support.databases import Databases


@pytest.fixture
async def start_gateway(servers: Servers, databases: Databases) -> AsyncIterator[GatewayStarter]:
    """Start gateways: `await start_gateway()`."""
    async with AsyncExitStack() as stack:
        yield GatewayStarter(stack=stack, servers=servers, databases=databases)


@pytest.fixture(scope="module")
async def standing_gateway(
    servers: Servers, databases: Databases
) -> AsyncIterator[GatewayUnderTest]:
    """One gateway for a whole file of tests."""
    async with AsyncExitStack() as stack:
        start = GatewayStarter(stack=stack, servers=servers, databases=databases)
        yield await start()


@pytest.fixture
def gateway(standing_gateway: GatewayUnderTest) -> GatewayUnderTest:
    """A gateway as it stands by default, whose services answer as they do by default."""
    for service in standing_gateway.services.values():
        service.reset()
    return standing_gateway
