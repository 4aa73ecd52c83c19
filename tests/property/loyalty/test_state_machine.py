"""Whatever members, shops, operators and the clock do: the service is as the reference says.

Hypothesis chooses the steps, the real service answers them through its HTTP door on a real
PostgreSQL, and after each the balances and lots of everybody concerned are compared, now and then
those of all. Five hundred lives of sixty steps unless told otherwise (`MACHINE_EXAMPLES=20`).
"""

import asyncio
import os
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.loyalty.verify.__main__ import verify
from shared.kernel import ids
from tests.integration.loyalty.ledger_world import reconcile
from tests.property.loyalty.all_moves import MOVES, Move
from tests.property.loyalty.world import World
from tests.property.loyalty.world_home import hold_true, home
from tests.servers import Servers
from tests.support.databases import Databases
from tests.support.service import NOON, ServiceUnderTest

PARTS: Final = 4
EXAMPLES: Final = int(os.environ.get("MACHINE_EXAMPLES", "500")) // PARTS
STEPS: Final = 60


@dataclass
class Home:
    """The service of a test worker and the loop that it runs on."""

    loop: asyncio.AbstractEventLoop
    loyalty: ServiceUnderTest
    url: str
    connection: asyncpg.Connection
    worlds: int = 0
    #: How many ids were made in the present world.
    made: int = 0

    def drawn(self, count: int) -> bytes:
        """In place of random bytes: ids in order of their making, the same in each life alike.

        Lots that were made in one moment are used in the order of their ids. Left to chance, it
        would have the same steps end otherwise, and Hypothesis gives up.
        """
        self.made += 1
        return (self.worlds << 40 | self.made).to_bytes(count, "big")

    def run(self, work: Awaitable[None]) -> None:
        """Run to the end what the service and its members do."""
        self.loop.run_until_complete(work)


@pytest.fixture(scope="module")
def at_home(servers: Servers, databases: Databases) -> Iterator[Home]:
    """A service that serves all examples of this worker, each with members of its own."""
    loop = asyncio.new_event_loop()
    stack = AsyncExitStack()

    async def opened() -> Home:
        loyalty, url = await stack.enter_async_context(home(servers, databases))
        return Home(loop, loyalty, url, await asyncpg.connect(url))

    here = loop.run_until_complete(opened())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ids, "urandom", here.drawn)
        yield here
    here.run(here.connection.close())
    here.run(stack.aclose())
    loop.close()


class Life(RuleBasedStateMachine):
    """One example: three or four members, and sixty things that happen."""

    here: Home

    @initialize(people=st.integers(3, 4))
    def begin(self, people: int) -> None:
        """Some people join, at noon on a Monday."""
        self.here.worlds, self.here.made = self.here.worlds + 1, 0
        self.here.loyalty.clock.at = NOON
        self.world = World(self.here.loyalty, self.here.connection, str(self.here.worlds))
        self.here.run(self.world.begin(people))

    @invariant()
    def the_rows_agree(self) -> None:
        """Every so often the books are looked at as an auditor would."""
        if self.world.steps % 10 == 9:
            self.here.run(hold_true(self.here.connection, self.world.people))

    def teardown(self) -> None:
        """Everybody is erased, so that the next example has the clock's jobs to itself."""
        if hasattr(self, "world"):
            self.here.run(self._end())

    async def _end(self) -> None:
        await hold_true(self.here.connection, self.world.people)
        await self.world.end()
        await hold_true(self.here.connection, self.world.people)


def _rule(move: Move) -> Any:
    def happen(self: Life, **numbers: int) -> None:
        self.here.run(move.do(self.world, **numbers))

    happen.__name__ = move.do.__name__
    chosen: dict[str, Any] = {name: st.integers(0, most) for name, most in move.numbers.items()}
    possible = precondition(lambda self: hasattr(self, "world") and move.possible(self.world))
    ruled: Any = rule(**chosen)
    return possible(ruled(happen))


for _name, _move in MOVES.items():
    for _time in range(_move.weight):
        setattr(Life, f"{_name}_{_time}", _rule(_move))


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_request_ends_as_the_reference_says(at_home: Home, part: int) -> None:
    Life.here = at_home
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
            print_blob=True, suppress_health_check=list(HealthCheck),
        ),
        # Without this more than half of the lives end early.
        _min_steps=STEPS - 1,
    )  # fmt: skip
    audit = verify(database=at_home.url)
    assert audit.faults == 0, audit.findings
    at_home.run(_reconciled(at_home.loyalty))


async def _reconciled(loyalty: ServiceUnderTest) -> None:
    """The job that compares sums finds the same: nothing."""
    proof = await reconcile(loyalty)
    assert proof["holds"], proof
