"""A whole sandbox in the test's own process: four services, one machine clock that stands still.

Everything is real but the network between them, so hundreds of moves of the clock take seconds.
"""

import importlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx

from gateway.operations.test_clock import ask_for_advance
from gateway.operations.test_clock_journey import Journey
from services.loyalty.jobs import JOBS as LOYALTY_JOBS
from services.segmentation.jobs import segmentation_jobs
from shared.events.subscriber import Subscriber
from shared.gate import Gate
from shared.http.client import InternalClient
from shared.jobs import Job
from shared.kernel.clock import FixedClock, MovableClock
from shared.service.timekeeper import Timekeeper
from tests.support.databases import Databases, package_of
from tests.support.service import NOON, ServiceUnderTest, settings_of, signer_of

PRODUCERS = {"loyalty": ["referral"], "referral": ["loyalty"], "segmentation": ["loyalty"]}
Jobs = Mapping[str, Sequence[Job]]
JOBS: Jobs = {
    "loyalty": list(LOYALTY_JOBS),
    "referral": [],
    "segmentation": list(segmentation_jobs(import_quiet=timedelta(seconds=10))),
    "gateway": [],
}


@dataclass
class Sandbox:
    """The services, and the journey that moves their clocks."""

    services: dict[str, ServiceUnderTest]
    #: The machine's clock; it moves by hand alone.
    machine: FixedClock
    keepers: dict[str, Timekeeper]
    journey: Journey

    @property
    def loyalty(self) -> ServiceUnderTest:
        return self.services["loyalty"]

    @property
    def referral(self) -> ServiceUnderTest:
        return self.services["referral"]

    @property
    def segmentation(self) -> ServiceUnderTest:
        return self.services["segmentation"]

    def now(self) -> datetime:
        """The time that all clocks show; fails when they differ."""
        now: datetime
        (now,) = {service.app.state.database.clock.now() for service in self.services.values()}
        return now

    async def ask(self, by: timedelta) -> None:
        """Ask for a move; nobody makes it yet."""
        seconds = int(by.total_seconds())
        await self.services["gateway"].database.run(
            lambda transaction: ask_for_advance(transaction, seconds=seconds), actor="test"
        )

    async def advance(self, by: timedelta) -> None:
        """Move the clocks, to the end."""
        await self.ask(by)
        assert await self.journey.make_open()

    async def settle(self) -> None:
        """Let everybody hear everybody, without moving the clock."""
        pairs = [(name, one) for name, many in PRODUCERS.items() for one in many]
        while sum([await self.services[to].hear(self.services[of]) for to, of in pairs]):
            pass


@asynccontextmanager
async def sandbox(
    *, databases: Databases, redis_url: str, jobs: Jobs | None = None
) -> AsyncIterator[Sandbox]:
    """Start one, at noon of a Monday. The jobs given replace those of their service."""
    machine = FixedClock(NOON)
    async with AsyncExitStack() as stack:
        services = {
            name: await stack.enter_async_context(
                _service(name, clock=machine, database_url=databases.fresh(name), redis=redis_url)
            )
            for name in JOBS
        }
        keepers = {
            name: _keeper(services, name, jobs={**JOBS, **(jobs or {})}[name]) for name in JOBS
        }
        journey = Journey(
            database=services["gateway"].database,
            machine=machine,
            travellers=list(keepers.items()),
            followed_within_s=0,
        )
        yield Sandbox(services=services, machine=machine, keepers=keepers, journey=journey)


@asynccontextmanager
async def _service(
    name: str, *, clock: FixedClock, database_url: str, redis: str
) -> AsyncIterator[ServiceUnderTest]:
    """A service without its lifespan, which would refuse to run on servers as quick as these."""
    main = importlib.import_module(f"{package_of(name)}.main")
    settings = settings_of(name, mode="sandbox", database_url=database_url, redis_url=redis)
    app = main.build(settings, clock=clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{name}") as http:
        yield ServiceUnderTest(
            name=name, app=app, clock=clock, http=http, signer=signer_of("gateway")
        )
    await app.state.database.close()


def _keeper(services: dict[str, ServiceUnderTest], name: str, *, jobs: Sequence[Job]) -> Timekeeper:
    database = services[name].database
    clock = database.clock
    assert isinstance(clock, MovableClock)
    return Timekeeper(
        database=database,
        clock=clock,
        gate=Gate(),
        jobs=jobs,
        subscribers={one: _subscriber(services, name, one) for one in PRODUCERS.get(name, [])},
    )


def _subscriber(services: dict[str, ServiceUnderTest], name: str, producer: str) -> Subscriber:
    own: Subscriber = services[name].app.state.subscribers[producer]
    client = InternalClient(
        base_url=f"http://{producer}",
        audience=producer,
        signer=signer_of(name),
        transport=httpx.ASGITransport(services[producer].app),
    )
    return own.through(client)
