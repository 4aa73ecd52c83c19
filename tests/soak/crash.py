"""The crash test for a release: `python -m tests.soak crash --kills 1000`.

As in `tests/chaos/test_crashes.py`, with as many kills as you have time for (some seconds each).
Ends with 0 when every promise was kept, else names what was not and leaves the data directory.
`--bug` plants one into the real processes or their callers, so that it must be caught.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tests.chaos.crashes.rig import Bug, CrashRig, crash_rig
from tests.chaos.crashes.verdict import verdict
from tests.chaos.crashes.verdict_events import verdict_on_events


async def run(*, kills: int, directory: Path, bug: Bug | None = None) -> list[str]:
    """Kill so often, then say what is wrong."""
    began = time.monotonic()
    async with crash_rig(directory, bug=bug) as rig:

        def tell(count: int) -> None:
            if count % 10 == 0 or count == kills:
                _say(rig, f"{count}/{kills} kills", since=began)

        await rig.run(kills=kills, told=tell)
        _say(rig, f"caught up {rig.recovered_s:.1f} s after the last kill", since=began)
        faults = await verdict(rig) + await verdict_on_events(rig)
        killed = ", ".join(f"{name} {times}" for name, times in rig.killer.killed.most_common())
        _say(rig, f"killed: {killed}", since=began)
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.crash")
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--bug", choices=get_args(Bug))
    given = parser.parse_args(arguments)
    directory = Path(tempfile.mkdtemp(prefix="huitou-crash-"))
    faults = asyncio.run(run(kills=given.kills, directory=directory, bug=given.bug))
    if faults:
        print(*faults, f"journal and data: {directory}", sep="\n", flush=True)
        return 1
    shutil.rmtree(directory)
    print("every acknowledged operation is there, exactly once; all books agree", flush=True)
    return 0


def _say(rig: CrashRig, what: str, *, since: float) -> None:
    journal = rig.journal
    abandoned = sum(one.abandoned for one in journal.asked)
    tries = sum(one.tries for one in journal.asked)
    print(
        f"{time.monotonic() - since:6.0f} s  {what}; {journal.acknowledged:,} acknowledged,"
        f" {tries:,} sent, {abandoned} abandoned, {len(journal.strange)} strange",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
