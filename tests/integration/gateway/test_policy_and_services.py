"""The policy table and the services' real routes are the same set."""

from collections.abc import Iterator

import pytest

from gateway.policy import OPERATIONS
from tests.support.service import ServiceUnderTest, Starter

SERVICES = ("loyalty", "referral", "segmentation")


def routes(service: ServiceUnderTest) -> Iterator[tuple[str, str, str]]:
    """Operation id, method and path of every public route of a service."""
    document = service.app.openapi()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/v1/"):
                yield operation["operationId"], method.upper(), path


@pytest.mark.parametrize("name", SERVICES)
async def test_every_row_has_its_route_and_every_public_route_its_row(
    start: Starter, name: str
) -> None:
    service = await start(name)
    rows = {(row.id, row.method, row.path) for row in OPERATIONS if row.service == name}
    assert set(routes(service)) == rows


@pytest.mark.parametrize("name", SERVICES)
async def test_what_the_policy_takes_keyed_the_service_takes_keyed(
    start: Starter, name: str
) -> None:
    """A row that asks for an Idempotency-Key leads to a route that reads it."""
    service = await start(name)
    document = service.app.openapi()
    for row in OPERATIONS:
        if row.service == name and row.keyed:
            operation = document["paths"][row.path][row.method.lower()]
            headers = [one["name"].lower() for one in operation.get("parameters", [])]
            assert "idempotency-key" in headers, row.id


async def test_no_route_of_the_gateway_is_without_its_row(start: Starter) -> None:
    gateway = await start("gateway")
    rows = {(row.id, row.method, row.path) for row in OPERATIONS if row.service == "gateway"}
    assert set(routes(gateway)) == rows
