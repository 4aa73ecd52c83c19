"""One server process: started by us, or left over from a runner that was killed."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.local.childhood import ServerUser, tied_to_parent

_ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}
_POLL_SECONDS: Final = 0.02


class ServerProcess:
    """A handle on a server by its process id."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self._child = child

    @property
    def alive(self) -> bool:
        """Whether it still runs. A child that has ended is reaped on the way."""
        if self._child is not None:
            return self._child.poll() is None
        return runs(self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it has ended already."""
        if self.alive:
            os.kill(self.pid, number)

    async def ended(self, *, within_seconds: float) -> bool:
        """Wait for its end; False when it still runs after that time."""
        deadline = time.monotonic() + within_seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    async def end(self, *, politely: signal.Signals, at_last: signal.Signals) -> None:
        """Ask it to stop, insist after 30 seconds, and wait until it is gone."""
        self.send(politely)
        if not await self.ended(within_seconds=30):
            self.send(at_last)
            if not await self.ended(within_seconds=10):
                self.send(signal.SIGKILL)
                await self.ended(within_seconds=10)


def launch(
    command: Sequence[str | Path],
    *,
    user: ServerUser,
    log: Path,
    on_parent_death: signal.Signals,
) -> ServerProcess:
    """Start a server as that user, in a session of its own so that Ctrl-C does not reach it.

    It is asked to stop by `on_parent_death` when the thread that called this ends.
    """

    def begin() -> None:
        user.enter()
        tied_to_parent(on_parent_death)

    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            preexec_fn=begin,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_ENVIRONMENT,
            cwd="/",
        )
    return ServerProcess(child.pid, child)


def runs(pid: int) -> bool:
    """Whether a process of this id runs; one that has ended but was not reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return not Path("/proc/self").exists()


def works_in(pid: int, directory: Path) -> bool:
    """Whether a running process has this directory as its own (a PostgreSQL does with its data)."""
    if not runs(pid):
        return False
    link = Path(f"/proc/{pid}/cwd")
    if Path("/proc/self").exists():
        try:
            return link.readlink() == directory.resolve()
        except OSError:
            return False
    listing = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return str(directory) in listing.stdout
