"""Lanes: there is a connection for each that a service may have under way at once."""

import importlib
from typing import Any

import pytest
from fastapi import FastAPI

from shared.batching import LANES, Collector
from shared.kernel.clock import FixedClock
from shared.lanes import LANES_MOST
from tests.support.databases import package_of
from tests.support.service import NOON, SERVICES, settings_of

NOWHERE = "127.0.0.1:9"


@pytest.mark.parametrize("service", SERVICES)
def test_all_lanes_of_a_service_may_be_busy_at_once(service: str) -> None:
    assert len(collectors_of(service)) * LANES <= LANES_MOST


def test_no_connection_is_promised_that_nobody_could_use() -> None:
    assert max(len(collectors_of(service)) for service in SERVICES) * LANES == LANES_MOST


def collectors_of(service: str) -> list[Collector[Any]]:
    """What collects requests into batches; no connection is made, it is only built."""
    settings = settings_of(
        service, database_url=f"postgresql://nobody@{NOWHERE}/none", redis_url=f"redis://{NOWHERE}"
    )
    main = importlib.import_module(f"{package_of(service)}.main")
    app: FastAPI = main.build(settings, clock=FixedClock(NOON))
    doors = [getattr(app.state, name) for name in app.state]
    return [door.collector for door in doors if hasattr(door, "collector")]
