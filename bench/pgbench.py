"""The raw limit: pgbench, from the PostgreSQL that the bench itself runs."""

import asyncio
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.failures import RunFailed
from bench.processes import machine_times, others_share, tree_seconds
from deploy.local.binaries import find_postgres
from deploy.local.settings import inherited_environment

#: One transaction in this many leaves its latency in the log.
_SAMPLED: Final = 0.25


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What pgbench came to: transactions per second, latencies in ms in order, CPU in seconds."""

    rate: float
    transactions: int
    latencies_ms: list[float]
    cpu_s: dict[str, float]
    others: float


def find_pgbench() -> Path:
    """The wheel's pgbench, else the one on the PATH. Raises RunFailed."""
    own = find_postgres().directory / "pgbench"
    found = own if own.exists() else shutil.which("pgbench")
    if found is None:
        raise RunFailed("there is no pgbench beside the server or on the PATH")
    return Path(found)


def parse_report(report: str) -> tuple[float, int]:
    """Transactions per second and their number. Raises RunFailed when some failed."""
    rate = re.search(r"^tps = ([\d.]+) \(without initial", report, re.M)
    count = re.search(r"^number of transactions actually processed: (\d+)", report, re.M)
    failed = re.search(r"^number of failed transactions: (\d+)", report, re.M)
    if rate is None or count is None or (failed is not None and failed[1] != "0"):
        raise RunFailed(report)
    return float(rate[1]), int(count[1])


def parse_log(lines: str) -> list[float]:
    """The latencies in a pgbench log, in milliseconds (third column, microseconds)."""
    return [int(line.split()[2]) / 1000 for line in lines.splitlines() if line]


async def run_pgbench(
    *, url: str, script: str, members: int, clients: int, seconds: float, postgres_pid: int
) -> Raw:
    """Run a script for some seconds. Raises RunFailed."""
    with tempfile.TemporaryDirectory(prefix="huitou-pgbench-") as name:
        folder = Path(name)
        (folder / "script.sql").write_text(script, "utf-8")
        command = [
            *(str(find_pgbench()), "--no-vacuum", "--protocol=prepared", "--jobs=1"),
            *(f"--client={clients}", f"--time={max(1, round(seconds))}"),
            *(f"--define=members={members}", "--file=script.sql"),
            *("--log", f"--sampling-rate={_SAMPLED}", "--log-prefix=log", url),
        ]
        machine, server = machine_times(), tree_seconds(postgres_pid)
        report, client_s = await _run(command, folder)
        server = tree_seconds(postgres_pid) - server
        rate, transactions = parse_report(report)
        latencies = await asyncio.to_thread(_latencies, folder)
        cpu_s = {"postgres": server, "load": client_s}
        return Raw(
            rate=rate,
            transactions=transactions,
            latencies_ms=sorted(latencies),
            cpu_s=cpu_s,
            others=others_share(machine, machine_times(), ours=cpu_s),
        )


def _latencies(folder: Path) -> list[float]:
    logs = (log.read_text("utf-8") for log in folder.glob("log.*"))
    return [latency for log in logs for latency in parse_log(log)]


async def _run(command: list[str], folder: Path) -> tuple[str, float]:
    before = os.times()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**inherited_environment(), "LC_ALL": "C"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode != 0:
        raise RunFailed(errors.decode(errors="replace")[-2000:])
    after = os.times()
    spent = after.children_user + after.children_system
    return output.decode(), spent - before.children_user - before.children_system
