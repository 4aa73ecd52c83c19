"""`make run`: from nothing to a system that answers, until somebody says stop."""

import asyncio
import signal
import sys
import time

from deploy.local.announcements import announce, both
from deploy.local.settings import RunSettings
from deploy.local.system import System
from deploy.local.terminal import own_foreground

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(settings: RunSettings) -> None:
    """Run until Ctrl-C or SIGTERM. Raises CannotRun when the system does not come up."""
    with own_foreground():
        asyncio.run(_run(settings))


async def _run(settings: RunSettings) -> None:
    began = time.monotonic()
    work = asyncio.create_task(_serve(settings, began))
    loop = asyncio.get_running_loop()
    asked = False

    def stop() -> None:
        nonlocal asked
        if not asked:
            asked = True
            announce("stopping")
            work.cancel()

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        await work
    except asyncio.CancelledError:
        announce("stopped")


async def _serve(settings: RunSettings, began: float) -> None:
    async with System(settings=settings) as system:
        _welcome(system, settings, seconds=time.monotonic() - began)
        await asyncio.Event().wait()


def _welcome(system: System, settings: RunSettings, *, seconds: float) -> None:
    sandbox = " MODE=sandbox" if settings.mode == "sandbox" else ""
    facts = {
        "address": system.address,
        "console": f"{system.address}/console",
        "first_key": f"make first-key{sandbox}",
        "directory": str(system.directory),
        "logs": str(system.logs),
        "seconds": f"{seconds:.1f}",
        "mode": settings.mode,
    }
    print(f"\n{both('deploy.welcome', **facts)}\n", file=sys.stderr, flush=True)
