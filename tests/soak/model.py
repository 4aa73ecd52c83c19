"""A million operations by sixteen clients at once, compared with the reference one by one.

Each client has members of its own, so that the reference stays exact while the service sees
sixteen requests at a time. Between rounds the clock moves for all. It stops at the first
disagreement, with the seed and what the members concerned had done.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import asyncpg

from services.loyalty.verify.__main__ import verify
from tests.property.loyalty.all_moves import MOVES
from tests.property.loyalty.world import Disagreement, World
from tests.property.loyalty.world_clock import CLOCK_MOVES, visit
from tests.property.loyalty.world_home import hold_true, home
from tests.servers import Servers, shared_servers
from tests.support.databases import Databases
from tests.support.service import ServiceUnderTest

CLIENTS: Final = 16
SEEDS: Final = 8
#: How many moves a client makes between two moves of the clock, and how many its members live.
ROUND: Final = 12
LIFE: Final = 120
_PROGRESS_S: Final = 5


@dataclass
class Progress:
    """How far it is, told now and then."""

    wanted: int
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    told: float = 0.0

    def tell(self, seed: int, *, last: bool = False) -> None:
        """Say it, at most every few seconds."""
        now = time.monotonic()
        if not last and now - self.told < _PROGRESS_S:
            return
        self.told = now
        rate = self.done / max(now - self.began, 0.001)
        left = timedelta(seconds=round(max(0, self.wanted - self.done) / max(rate, 0.001)))
        say(f"seed {seed}: {self.done:,} / {self.wanted:,}, {rate:,.0f} /s, {left} left")


@dataclass
class Client:
    """One client: its members, and the chances that it takes."""

    loyalty: ServiceUnderTest
    connection: asyncpg.Connection
    name: str
    chance: random.Random
    lives: int = 0
    moves: int = 0
    world: World = field(init=False)

    async def begin(self) -> None:
        """Three to five new members."""
        self.lives, self.moves = self.lives + 1, 0
        self.world = World(self.loyalty, self.connection, f"{self.name}-{self.lives}")
        await self.world.begin(self.chance.randint(3, 5))

    async def go_round(self) -> int:
        """Some moves; at the end of a life the books are looked at, and everybody is erased."""
        for _ in range(ROUND):
            possible = [one for name, one in MOVES.items()
                        if name not in CLOCK_MOVES and one.possible(self.world)]  # fmt: skip
            (move,) = self.chance.choices(possible, [one.weight for one in possible])
            await move.do(
                self.world, **{n: self.chance.randint(0, most) for n, most in move.numbers.items()}
            )
        self.moves += ROUND
        if self.moves >= LIFE:
            await hold_true(self.connection, self.world.people)
            await self.world.end()
            await hold_true(self.connection, self.world.people)
            await self.begin()
        return ROUND


def main(given: Sequence[str]) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak model")
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--from-seed", type=int, default=1, help=f"of 1 to {SEEDS}")
    wanted = parser.parse_args(given)
    each = -(-wanted.operations // SEEDS)
    progress = Progress(each * (SEEDS + 1 - wanted.from_seed))
    seed = wanted.from_seed
    try:
        with shared_servers() as servers:
            for seed in range(wanted.from_seed, SEEDS + 1):
                asyncio.run(_run_seed(servers, seed=seed, operations=each, progress=progress))
    except KeyboardInterrupt:
        say(f"停止于种子 {seed} / stopped; go on with --from-seed {seed}")
        return 130
    except AssertionError as wrong:
        say(f"种子 {seed} 不一致 / disagreement under seed {seed}: {wrong}")
        return 1
    progress.tell(seed, last=True)
    say("全部一致 / all agree")
    return 0


def say(line: str) -> None:
    """Tell how it goes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _run_seed(servers: Servers, *, seed: int, operations: int, progress: Progress) -> None:
    databases = Databases(servers=servers, worker=f"soak{seed}")
    chance = random.Random(seed)
    async with AsyncExitStack() as stack:
        loyalty, url = await stack.enter_async_context(home(servers, databases))
        clients = []
        for number in range(CLIENTS):
            connection = await asyncpg.connect(url)
            stack.push_async_callback(connection.close)
            own = random.Random(f"{seed}-{number}")
            clients.append(Client(loyalty, connection, f"{seed}-{number}", own))
        await asyncio.gather(*(client.begin() for client in clients))
        end = progress.done + operations
        while progress.done < end:
            progress.done += sum(await asyncio.gather(*(one.go_round() for one in clients)))
            await _move_clock(loyalty, clients, chance)
            progress.tell(seed)
        audit = await asyncio.to_thread(verify, database=url)
        if audit.faults:
            raise Disagreement(f"the audit found {audit.findings}")


async def _move_clock(
    loyalty: ServiceUnderTest, clients: Sequence[Client], chance: random.Random
) -> None:
    """Minutes or weeks pass; the jobs come by at every moment, at the end alone, or not at all."""
    span = chance.choice(
        (timedelta(minutes=1), timedelta(minutes=20), timedelta(hours=13), timedelta(days=1),
         timedelta(days=8), timedelta(days=31), timedelta(days=120))
    )  # fmt: skip
    worlds = [client.world for client in clients]
    if span < timedelta(days=1):
        loyalty.clock.advance(span)
    elif chance.random() < 0.5:
        await visit(loyalty, worlds, until=loyalty.clock.now() + span)
    else:
        loyalty.clock.advance(span)
        await visit(loyalty, worlds, until=loyalty.clock.now())
