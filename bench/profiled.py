"""Serves loyalty in this process under cProfile: `python -m bench.profiled PORT OUTPUT`.

SIGUSR1 begins to profile, SIGUSR2 ends it and writes the output, as `pstats` reads it.
"""

import cProfile
import signal
import sys
import time
from pathlib import Path

import uvicorn


def main() -> None:
    """Run as a program."""
    port, output = int(sys.argv[1]), Path(sys.argv[2])
    profiler = cProfile.Profile(time.thread_time)

    def begin(*_: object) -> None:
        profiler.enable()

    def end(*_: object) -> None:
        profiler.disable()
        draft = output.with_suffix(".new")
        profiler.dump_stats(draft)
        draft.rename(output)

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, end)
    uvicorn.run(
        "services.loyalty.main:app",
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
