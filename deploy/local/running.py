"""`make run`: from nothing to a system that answers, until somebody says stop."""

import asyncio
import contextlib
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
    asked = asyncio.Event()
    work = asyncio.create_task(_serve(settings, began, asked))
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if not asked.is_set():
            asked.set()
            announce("stopping")
            work.cancel()

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        await work
    announce("stopped")


async def _serve(settings: RunSettings, began: float, asked: asyncio.Event) -> None:
    async with System(settings=settings) as system:
        # Before 3.12, wait_for may swallow a cancellation that comes while we start.
        if not asked.is_set():
            _welcome(system, settings, seconds=time.monotonic() - began)
        await asked.wait()


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
