"""The ways of doing one thing that are measured side by side."""

import asyncio
import json
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from bench.failures import RunFailed
from bench.figures import per_request_us, percentile
from bench.load import Job, Load
from bench.pgbench import Raw, run_pgbench
from bench.requests import Kind, Spread
from deploy.local.settings import CHECKOUT, inherited_environment

_WARM_S: Final = 0.5
_GRACE_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one variant."""

    rate: float
    p50_ms: float
    p99_ms: float
    #: Processor time of each request in µs, by process.
    cpu_us: Mapping[str, float]
    #: Share of the machine that everything else used.
    others: float
    #: All requests that the database saw, for its counters.
    answered: int
    callers: int


class Variant(Protocol):
    """Something that can be run for a while."""

    @property
    def name(self) -> str:
        """How the table calls it."""
        ...

    async def measure(self, seconds: float, *, counting: bool = False) -> Sample:
        """Run it. When only counting, a single run without warm-up."""
        ...


@dataclass(frozen=True, kw_only=True)
class RawVariant:
    """pgbench at several numbers of clients; the best one counts, being the limit."""

    name: str
    url: str
    script: str
    members: int
    clients: Sequence[int]
    postgres_pid: int

    async def measure(self, seconds: float, *, counting: bool = False) -> Sample:
        """Run at each number of clients, or only the first when counting."""
        samples = []
        for clients in self.clients[:1] if counting else self.clients:
            raw = await run_pgbench(
                url=self.url,
                script=self.script,
                members=self.members,
                clients=clients,
                seconds=seconds,
                postgres_pid=self.postgres_pid,
            )
            samples.append(_raw_sample(raw, clients=clients))
        return max(samples, key=lambda sample: sample.rate)


@dataclass(frozen=True, kw_only=True)
class HttpVariant:
    """A server over HTTP, under the load generator."""

    name: str
    kind: Kind
    port: int
    #: What goes into the Authorization header; made anew for each run, since tokens are short.
    authorization: Callable[[], str]
    members: int
    callers: int
    watched: Mapping[str, int]
    spread: Spread = "spread"

    async def measure(self, seconds: float, *, counting: bool = False) -> Sample:
        """Run the load generator against it. Raises RunFailed at any answer that is not 2xx."""
        job = Job(
            port=self.port,
            kind=self.kind,
            run=f"B{secrets.token_hex(4)}",
            authorization=self.authorization(),
            members=self.members,
            spread=self.spread,
            callers=self.callers,
            warm_s=0.0 if counting else _WARM_S,
            seconds=seconds,
            watched=dict(self.watched),
        )
        load = await run_job("bench.load", asdict(job), seconds=seconds)
        return load_sample(load, callers=self.callers)


async def run_job(module: str, job: Mapping[str, Any], *, seconds: float) -> Load:
    """Run a load in a process of its own: the job on its stdin, what came of it on its stdout.

    Raises RunFailed with what the process said.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        cwd=CHECKOUT,
        env=inherited_environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds + _GRACE_S):
            output, errors = await process.communicate(json.dumps(job).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RunFailed(f"{module}: {errors.decode(errors='replace')[-2000:]}")
    return Load(**json.loads(output))


def load_sample(load: Load, *, callers: int) -> Sample:
    """The figures of a run of the load generator."""
    return Sample(
        rate=load.requests / load.seconds,
        p50_ms=percentile(load.latencies_ms, 0.5),
        p99_ms=percentile(load.latencies_ms, 0.99),
        cpu_us={name: per_request_us(spent, load.requests) for name, spent in load.cpu_s.items()},
        others=load.others,
        answered=load.answered,
        callers=callers,
    )


def _raw_sample(raw: Raw, *, clients: int) -> Sample:
    spent = raw.cpu_s.items()
    return Sample(
        rate=raw.rate,
        p50_ms=percentile(raw.latencies_ms, 0.5),
        p99_ms=percentile(raw.latencies_ms, 0.99),
        cpu_us={name: per_request_us(one, raw.transactions) for name, one in spent},
        others=raw.others,
        answered=raw.transactions,
        callers=clients,
    )
