"""wrk as the load, where it is installed: shows what our own load generator costs."""

import asyncio
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.failures import RunFailed
from bench.figures import per_request_us
from bench.parts import OPERATIONS
from bench.processes import cpu_seconds, machine_times, others_share
from bench.site import Site
from bench.variants import Sample

_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_SCRIPT: Final = """
wrk.headers["Authorization"] = "{authorization}"
request = function()
  return wrk.format("GET", string.format("/v1/members/mem_%026d/wallet", math.random({members})))
end
"""


@dataclass(frozen=True, kw_only=True)
class WrkReport:
    """What wrk printed."""

    rate: float
    requests: int
    p50_ms: float
    p99_ms: float


def parse_wrk(report: str) -> WrkReport:
    """Read wrk's report with `--latency`. Raises RunFailed at errors or answers but 2xx and 3xx."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    count = re.search(r"(\d+) requests in", report)
    at = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+\w+)$", report, re.M))
    if rate is None or count is None or len(at) < 2 or "Non-2xx" in report or "Socket" in report:
        raise RunFailed(report)
    return WrkReport(
        rate=float(rate[1]),
        requests=int(count[1]),
        p50_ms=_milliseconds(at["50"]),
        p99_ms=_milliseconds(at["99"]),
    )


@dataclass(frozen=True, kw_only=True)
class WrkVariant:
    """The wallet at loyalty's own door, under wrk."""

    name: str
    site: Site

    async def measure(self, seconds: float, *, counting: bool = False) -> Sample:  # noqa: ARG002
        """Run wrk with one thread. It never warms up, so counting is no different."""
        site = self.site
        watched = {"service": site.loyalty.pid, "postgres": site.world.postgres_pid}
        machine, cpu, own = machine_times(), cpu_seconds(watched), os.times()
        report = parse_wrk(await self._run(max(1, round(seconds))))
        after, own_after = cpu_seconds(watched), os.times()
        spent = {name: after[name] - cpu[name] for name in watched}
        spent["load"] = (
            own_after.children_user + own_after.children_system
            - own.children_user - own.children_system
        )  # fmt: skip
        return Sample(
            rate=report.rate,
            p50_ms=report.p50_ms,
            p99_ms=report.p99_ms,
            cpu_us={name: per_request_us(one, report.requests) for name, one in spent.items()},
            others=others_share(machine, machine_times(), ours=spent),
            answered=report.requests,
            callers=site.callers,
        )

    async def _run(self, seconds: int) -> str:
        token = self.site.world.token(operation=OPERATIONS["wallet"])
        with tempfile.TemporaryDirectory(prefix="huitou-wrk-") as folder:
            script = Path(folder) / "wallet.lua"
            text = _SCRIPT.format(authorization=f"Bearer {token}", members=self.site.members)
            await asyncio.to_thread(script.write_text, text)
            process = await asyncio.create_subprocess_exec(
                *("wrk", "--threads=1", f"--connections={self.site.callers}", "--latency"),
                *(f"--duration={seconds}s", f"--script={script}"),
                f"http://127.0.0.1:{self.site.loyalty.port}",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await process.communicate()
        return output.decode(errors="replace")


def wrk(site: Site) -> WrkVariant:
    """The same wallets as `direct`, under wrk."""
    return WrkVariant(name="ours, at loyalty's own door, under wrk", site=site)


def _milliseconds(written: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", written)
    if found is None:
        raise RunFailed(f"wrk told a latency of {written}")
    return float(found[1]) * _MS[found[2]]
