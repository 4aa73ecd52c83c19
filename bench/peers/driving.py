"""What all peers' processes share: the job from stdin, callers that measure, the figures out."""

import asyncio
import json
import random
import resource
import sys
import threading
import time
from array import array
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from bench.load import Load
from bench.processes import cpu_seconds, machine_times, others_share
from bench.requests import Kind


@dataclass(frozen=True, kw_only=True)
class PeerJob:
    """What to do, where, for how long (seconds), and whose processor time to watch."""

    url: str
    kind: Kind
    run: str
    members: int
    callers: int = 64
    warm_s: float = 1.0
    seconds: float = 5.0
    #: Make the tables and the members instead of measuring.
    setting_up: bool = False
    watched: dict[str, int] = field(default_factory=dict)


#: The moment, our own processor time, that of those we watch, and the machine's.
_Marks = tuple[float, float, dict[str, float], tuple[float, float]]


class Tally:
    """Counts acts; what ends between `begin` and `end` is measured. Used by threads as well."""

    def __init__(self, job: PeerJob) -> None:
        self.going = True
        self._job = job
        self._random = random.Random(job.run)  # noqa: S311 - a load, not a secret
        self._lock = threading.Lock()
        self._latencies = array("f")
        self._measuring = False
        self._count = 0
        self._began: _Marks = (0.0, 0.0, {}, (0.0, 0.0))

    def next(self) -> tuple[int, str]:
        """A member's number, 0 and up, and a key that was never used."""
        with self._lock:
            self._count += 1
            return self._random.randrange(self._job.members), f"{self._job.run}-{self._count}"

    def note(self, started: float) -> None:
        """One act that began at a moment of `perf_counter` is done."""
        if self._measuring:
            self._latencies.append((time.perf_counter() - started) * 1000)

    def begin(self) -> None:
        """The window opens."""
        cpu, machine = cpu_seconds(self._job.watched), machine_times()
        self._began = (time.perf_counter(), _own_seconds(), cpu, machine)
        self._measuring = True

    def end(self) -> Load:
        """The window closes; callers stop after what they are at."""
        self._measuring = False
        at, own, cpu, machine = self._began
        seconds, spent = time.perf_counter() - at, _own_seconds() - own
        after = cpu_seconds(self._job.watched)
        cpu_s = {**{name: after[name] - cpu[name] for name in cpu}, "service": spent}
        self.going = False
        return Load(
            seconds=seconds,
            requests=len(self._latencies),
            answered=len(self._latencies),
            latencies_ms=sorted(round(one, 3) for one in self._latencies),
            cpu_s=cpu_s,
            others=others_share(machine, machine_times(), ours=cpu_s),
        )


async def drive(job: PeerJob, act: Callable[[int, str], Awaitable[object]]) -> Load:
    """Let so many callers act one after the other. The first that fails ends the run."""
    tally = Tally(job)

    async def caller() -> None:
        while tally.going:
            member, key = tally.next()
            started = time.perf_counter()
            await act(member, key)
            tally.note(started)

    async with asyncio.TaskGroup() as callers:
        for _ in range(job.callers):
            callers.create_task(caller())
        await asyncio.sleep(job.warm_s)
        tally.begin()
        await asyncio.sleep(job.seconds)
        return tally.end()


def drive_threads(job: PeerJob, act: Callable[[int, str], object]) -> Load:
    """The same with a thread for each caller. The first that fails ends the run."""
    tally = Tally(job)

    def caller() -> None:
        try:
            while tally.going:
                member, key = tally.next()
                started = time.perf_counter()
                act(member, key)
                tally.note(started)
        finally:
            tally.going = False

    with ThreadPoolExecutor(job.callers) as pool:
        callers = [pool.submit(caller) for _ in range(job.callers)]
        time.sleep(job.warm_s)
        tally.begin()
        time.sleep(job.seconds)
        load = tally.end()
        for one in callers:
            one.result()
    return load


def read_job() -> PeerJob:
    """The job on stdin."""
    return PeerJob(**json.load(sys.stdin))


def tell(load: Load) -> None:
    """What came of it, on stdout."""
    json.dump(asdict(load), sys.stdout)


#: What setting up answers.
NOTHING = Load(seconds=1.0, requests=0, answered=0, latencies_ms=[], cpu_s={}, others=0.0)


def _own_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
