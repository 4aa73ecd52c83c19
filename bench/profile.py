"""Where loyalty's time goes: `python -m bench.profile earn|redeem|wallet [--callers 64]`.

The load runs against the service under cProfile, which slows Python calls about twofold: read the
shares, not the times.
"""

import argparse
import asyncio
import os
import pstats
import secrets
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bench.load import Job, Load
from bench.parts import OPERATIONS
from bench.requests import Kind
from bench.site import filled
from bench.table import RESULTS
from bench.variants import load_sample, run_job
from bench.world import LOYALTY, World
from deploy.local.ports import free_port

_MEMBERS: Final = 2_000
_WRITE_S: Final = 20.0


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("kind", choices=sorted(OPERATIONS))
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--hot", action="store_true", help="all at one member")
    parser.add_argument("--sort", default="tottime", help="as pstats knows it, such as cumtime")
    parser.add_argument("--top", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="also keep the pstats file here")
    given = parser.parse_args()
    kept: Path = given.keep or RESULTS.with_name(f"{given.kind}.pstats")
    kept = kept.absolute()
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    load = asyncio.run(
        _profile(
            given.kind, callers=given.callers, seconds=given.seconds, hot=given.hot, output=kept
        )
    )
    sample = load_sample(load, callers=given.callers)
    print(f"{sample.rate:,.0f}/s under the profiler, {load.requests} requests, {kept}\n")
    statistics = pstats.Stats(str(kept), stream=sys.stdout)
    statistics.strip_dirs().sort_stats(given.sort).print_stats(given.top)


async def _profile(kind: Kind, *, callers: int, seconds: float, hot: bool, output: Path) -> Load:
    async with World() as world:
        url = await filled(world, members=_MEMBERS, database="loyalty")
        port = free_port()
        server = await world.start(
            "loyalty",
            command=(sys.executable, "-m", "bench.profiled", str(port), str(output)),
            environment=world.environment(LOYALTY, url),
            port=port,
        )
        job = Job(
            port=port,
            kind=kind,
            run=f"P{secrets.token_hex(4)}",
            authorization=f"Bearer {world.token(operation=OPERATIONS[kind])}",
            members=_MEMBERS,
            spread="hot" if hot else "spread",
            callers=callers,
            seconds=seconds,
            watched={"service": server.pid, "postgres": world.postgres_pid},
        )
        running = asyncio.create_task(run_job("bench.load", asdict(job), seconds=seconds))
        await asyncio.sleep(job.warm_s)
        os.kill(server.pid, signal.SIGUSR1)
        load = await running
        os.kill(server.pid, signal.SIGUSR2)
        await _written(output, port=port)
        return load


async def _written(output: Path, *, port: int) -> None:
    """Until the profile is there. The handler runs when the loop comes by, so something calls."""
    async with asyncio.timeout(_WRITE_S):
        while not await asyncio.to_thread(output.exists):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    main()
