"""The load generator, a process of its own: `python -m bench.load` reads one job from stdin.

Keep-alive connections on raw sockets, one request in flight on each, prebuilt bytes, and no more
parsing than the status and the length: it takes little of the processors that it measures on.
"""

import asyncio
import json
import resource
import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import uvloop

from bench.processes import cpu_seconds, machine_times, others_share
from bench.requests import Kind, Spread, request_maker

_OK = ord("2")
_DRAIN_S = 15.0
_SHOWN = 600


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to send, where, for how long (seconds), and whose processor time to watch."""

    port: int
    kind: Kind
    run: str
    authorization: str
    members: int
    spread: Spread = "spread"
    callers: int = 64
    warm_s: float = 1.0
    seconds: float = 5.0
    watched: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Load:
    """What came of it. Latencies are in milliseconds, in order; CPU in seconds of the window."""

    seconds: float
    requests: int
    #: All that were answered, warm-up included: what the database's own counters saw.
    answered: int
    latencies_ms: list[float]
    cpu_s: dict[str, float]
    #: Share of the machine that everything else used: the less, the better the figures.
    others: float


class LoadFailed(Exception):
    """A request was not answered as it should be; the text shows the answer."""


class Meter:
    """Counts what the callers see; only what ends inside the window is measured."""

    def __init__(self, callers: int) -> None:
        self.latencies = array("f")
        self.answered = 0
        self.sending = True
        self.measuring = False
        self.busy = callers
        self.failure: str | None = None
        self.ended = asyncio.Event()

    def fail(self, what: str) -> None:
        """Remember the first thing that went wrong and stop."""
        self.failure = self.failure or what
        self.sending = False
        self.ended.set()

    def rest(self) -> None:
        """One caller has its last answer."""
        self.busy -= 1
        if self.busy == 0:
            self.ended.set()


class Caller(asyncio.Protocol):
    """One connection with one request in flight."""

    def __init__(self, make: Callable[[], bytes], meter: Meter) -> None:
        self._make = make
        self._meter = meter
        self._kept = b""
        self._need = 0
        self._sent_at = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin at once."""
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._send()

    def data_received(self, data: bytes) -> None:
        """Collect the answer; when it is whole, count it and send the next request."""
        if self._kept:
            data = self._kept + data
        if not self._need:
            self._need = answer_length(data)
        if not self._need or len(data) < self._need:
            self._kept = data
            return
        self._kept, self._need = b"", 0
        if data[9] != _OK:
            self._meter.fail(data[:_SHOWN].decode(errors="replace"))
            return
        meter = self._meter
        meter.answered += 1
        if meter.measuring:
            meter.latencies.append((time.perf_counter() - self._sent_at) * 1000)
        if meter.sending:
            self._send()
        else:
            meter.rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server must not hang up while we go on."""
        if self._meter.sending:
            self._meter.fail(f"the connection was closed: {exc!r}")

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(self._make())


def answer_length(data: bytes) -> int:
    """How long the whole answer is, 0 while its head is incomplete. Raises LoadFailed."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = data[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise LoadFailed(f"an answer without a length: {head!r}")
    line_end = head.find(b"\r\n", at + 2)
    written = head[at + 17 : line_end if line_end > 0 else end]
    return end + 4 + int(written)


async def run_load(job: Job) -> Load:
    """Do the job. Raises LoadFailed at the first answer that is not 2xx."""
    make = request_maker(
        job.kind,
        run=job.run,
        authorization=job.authorization,
        members=job.members,
        spread=job.spread,
    )
    loop = asyncio.get_running_loop()
    meter = Meter(job.callers)
    for _ in range(job.callers):
        await loop.create_connection(lambda: Caller(make, meter), "127.0.0.1", job.port)
    await _pass(meter, job.warm_s)
    machine, cpu, own = machine_times(), cpu_seconds(job.watched), _own_seconds()
    began = time.perf_counter()
    meter.measuring = True
    await _pass(meter, job.seconds)
    meter.measuring = False
    seconds = time.perf_counter() - began
    own = _own_seconds() - own
    after, machine_after = cpu_seconds(job.watched), machine_times()
    meter.sending = False
    await asyncio.wait_for(meter.ended.wait(), timeout=_DRAIN_S)
    if meter.failure is not None:
        raise LoadFailed(meter.failure)
    spent = {**{name: after[name] - cpu[name] for name in cpu}, "load": own}
    return Load(
        seconds=seconds,
        requests=len(meter.latencies),
        answered=meter.answered,
        latencies_ms=sorted(round(one, 3) for one in meter.latencies),
        cpu_s=spent,
        others=others_share(machine, machine_after, ours=spent),
    )


async def _pass(meter: Meter, seconds: float) -> None:
    """Let time pass, or less when something fails."""
    try:
        await asyncio.wait_for(asyncio.shield(meter.ended.wait()), timeout=seconds)
    except TimeoutError:
        return
    raise LoadFailed(meter.failure or "the callers stopped")


def _own_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Run as a program: the job on stdin, what came of it on stdout, both as JSON."""
    job = Job(**json.load(sys.stdin))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            load = runner.run(run_load(job))
    except (LoadFailed, OSError) as failure:
        sys.exit(f"{failure}")
    json.dump(asdict(load), sys.stdout)


if __name__ == "__main__":
    main()
