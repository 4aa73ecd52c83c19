"""`python -m bench`: measure, print tables, write bench/results/latest.json."""

import argparse
import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from bench.failures import RunFailed
from bench.measuring import Measured, measure
from bench.plans import PLANS
from bench.site import filled, set_up
from bench.table import save, table
from bench.world import World
from deploy.local.failures import CannotRun

MEMBERS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure, how often and how long (seconds for each run)."""

    parts: tuple[str, ...]
    rounds: int
    seconds: float
    callers: int
    full: bool


def options_of(arguments: list[str]) -> Options:
    """Read the command line; an unknown part ends the program with a word about the known ones."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--parts", default=",".join(PLANS), help="some of them, by comma")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measured run")
    parser.add_argument("--callers", type=int, default=64, help="requests in flight at once")
    parser.add_argument("--full", action="store_true", help="grow to 10 million entries")
    given = parser.parse_args(arguments)
    asked = {part for part in given.parts.split(",") if part}
    parts = tuple(part for part in PLANS if part in asked)
    if asked != set(parts) or not parts or given.rounds < 1 or given.seconds < 1:
        parser.error(f"parts are {', '.join(PLANS)}; at least 1 round of at least 1 second")
    return Options(
        parts=parts,
        rounds=given.rounds,
        seconds=given.seconds,
        callers=given.callers,
        full=given.full,
    )


def main() -> None:
    """Run as a program."""
    options = options_of(sys.argv[1:])
    try:
        asyncio.run(_stoppable(options))
    except (CannotRun, RunFailed) as failure:
        sys.exit(f"{failure}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


async def _stoppable(options: Options) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await run(options)


async def run(options: Options) -> list[Measured]:
    """Measure all that was asked for; each part is printed as soon as it is done."""
    done: list[Measured] = []
    async with World() as world:
        _tell("filling 10,000 members with 100,000 entries")
        url = await filled(world, members=MEMBERS, database="loyalty")
        site = await set_up(world, members=MEMBERS, callers=options.callers, loyalty_url=url)
        for name in options.parts:
            async for part in PLANS[name](site, options.full):
                measured = await measure(
                    part,
                    rounds=options.rounds,
                    seconds=options.seconds,
                    admin_url=world.servers.admin_url,
                    tell=_tell,
                )
                done.append(measured)
                print(table(measured), flush=True)
                save(done, about=_about(options))
    return done


def _about(options: Options) -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processors": os.cpu_count(),
        "python": sys.version.split()[0],
        "rounds": options.rounds,
        "seconds": options.seconds,
        "callers": options.callers,
    }


def _tell(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
