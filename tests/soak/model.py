"""A million operations by sixteen clients at once, compared with the reference one by one.

Each client has members of its own, so that the reference stays exact while the service sees
sixteen requests at a time. Between rounds the clock moves for all. Forty seeds share the
operations, one more at once than there are processors, each with a service of its own. It stops at
the first disagreement, with the seed and what the members concerned had done.
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import asyncpg
import uvloop

from services.loyalty.verify.__main__ import verify
from tests.property.loyalty.all_moves import MOVES
from tests.property.loyalty.world import Disagreement, World
from tests.property.loyalty.world_clock import CLOCK_MOVES, visit
from tests.property.loyalty.world_home import hold_true, home
from tests.servers import Servers, shared_servers
from tests.support.databases import Databases
from tests.support.service import ServiceUnderTest

CLIENTS: Final = 16
SEEDS: Final = 40
#: How many moves a client makes between two moves of the clock, and how many its members live.
ROUND: Final = 12
LIFE: Final = 240
_PROGRESS_S: Final = 5


@dataclass
class Progress:
    """How far a seed is, told now and then."""

    seed: int
    wanted: int
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    told: float = 0.0

    def tell(self) -> None:
        """Say it, at most every few seconds."""
        now = time.monotonic()
        if now - self.told < _PROGRESS_S and self.done < self.wanted:
            return
        self.told = now
        rate = self.done / max(now - self.began, 0.001)
        left = timedelta(seconds=round(max(0, self.wanted - self.done) / max(rate, 0.001)))
        say(f"seed {self.seed}: {self.done:,} / {self.wanted:,}, {rate:,.0f} /s, {left} left")


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
    # One more than processors: at the end of a round each waits for its slowest client.
    parser.add_argument("--processes", type=int, default=1 + (os.cpu_count() or 1))
    wanted = parser.parse_args(given)
    each = -(-wanted.operations // SEEDS)
    seeds = range(wanted.from_seed, SEEDS + 1)
    processes = min(wanted.processes, len(seeds))
    new = multiprocessing.get_context("spawn")
    ended: set[int] = set()
    try:
        with shared_servers() as servers, new.Pool(processes, maxtasksperchild=1) as pool:
            tasks = [(servers, seed, each) for seed in seeds]
            for seed, wrong in pool.imap_unordered(_try_seed, tasks):
                if wrong is not None:
                    say(f"种子 {seed} 不一致 / disagreement under seed {seed}: {wrong}")
                    return 1
                ended.add(seed)
                say(f"种子 {seed} 一致 / seed {seed} agrees")
    except KeyboardInterrupt:
        first = min(set(seeds) - ended)
        say(f"停止于种子 {first} / stopped; go on with --from-seed {first}")
        return 130
    say("全部一致 / all agree")
    return 0


def _try_seed(task: tuple[Servers, int, int]) -> tuple[int, str | None]:
    """In a process of its own: run a seed, and say what disagreed, if anything."""
    servers, seed, operations = task
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    try:
        uvloop.run(_run_seed(servers, progress=Progress(seed, operations)))
    except AssertionError as wrong:
        return seed, str(wrong)
    return seed, None


def say(line: str) -> None:
    """Tell how it goes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _run_seed(servers: Servers, *, progress: Progress) -> None:
    seed = progress.seed
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
        while progress.done < progress.wanted:
            progress.done += sum(await asyncio.gather(*(one.go_round() for one in clients)))
            await _move_clock(loyalty, clients, chance)
            progress.tell()
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
