"""The killer: kill -9 at random, of processes and servers, while they are at work."""

import asyncio
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.runner_process import RunnerProcess
from tests.support.waiting import until

#: Who is killed how often, of a hundred.
_VICTIMS: Final = {
    "loyalty": 24, "gateway": 12, "segmentation": 12, "referral": 6, "valkey-server": 16,
    "postgres": 16, "postgres backend": 14,
}  # fmt: skip
#: How many answers there are between two kills; nobody is killed at leisure.
_MOST_BETWEEN: Final = 60
_LONGEST_WAIT_S: Final = 15.0
#: How often the next one dies while the others are still picking themselves up.
_AT_ONCE: Final = 0.25


@dataclass(kw_only=True)
class Killer:
    """Kills what the runner keeps running, so often."""

    runner: RunnerProcess
    #: How many operations were acknowledged so far.
    answered: Callable[[], int]
    killed: Counter[str] = field(default_factory=Counter)
    last_at: float = 0.0

    async def kill(self, *, times: int, told: Callable[[int], None] = lambda _count: None) -> None:
        """Kill so many, each at a random moment of the work."""
        victims = _shuffled(times)
        for count in range(1, times + 1):
            if random.random() >= _AT_ONCE:
                await self._some_work()
            await until(lambda: self._kill_one(victims), what="a victim", within_s=60)
            told(count)

    async def _some_work(self) -> None:
        """Wait for a random amount of work, and then for a moment in the midst of it."""
        enough = self.answered() + random.randint(1, _MOST_BETWEEN)
        deadline = time.monotonic() + _LONGEST_WAIT_S
        await until(
            lambda: self.answered() >= enough or time.monotonic() > deadline,
            what="some work",
            within_s=2 * _LONGEST_WAIT_S,
        )
        await asyncio.sleep(random.uniform(0, 0.05))

    def _kill_one(self, victims: list[str]) -> bool:
        """Kill the next who is alive; who is dead already has another turn later."""
        victim = victims.pop(0)
        pid = self._find(victim)
        with suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                self.killed[victim] += 1
                self.last_at = time.monotonic()
                return True
        victims.append(victim)
        return False

    def _find(self, victim: str) -> int | None:
        children = self.runner.children()
        if victim != "postgres backend":
            return children.get(victim)
        backends = list(_backends(children.get("postgres", 0)))
        return random.choice(backends) if backends else None


def _shuffled(times: int) -> list[str]:
    """So many victims in a random order, each as often as is its share."""
    shares = [(victim, times * share / 100) for victim, share in _VICTIMS.items()]
    victims = [victim for victim, share in shares for _ in range(int(share))]
    missing = times - len(victims)
    victims += random.choices([victim for victim, _ in shares], [s for _, s in shares], k=missing)
    random.shuffle(victims)
    return victims


def _backends(postmaster: int) -> Iterator[int]:
    """The processes in which PostgreSQL serves connections of the loyalty service."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = re.search(r"^PPid:\s+(\d+)", status.read_text(), re.MULTILINE)
            command = (status.parent / "cmdline").read_text()
        except OSError:
            continue  # it has ended meanwhile
        if parent and int(parent.group(1)) == postmaster and "postgres: loyalty" in command:
            yield int(status.parent.name)
