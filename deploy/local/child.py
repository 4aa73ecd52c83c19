"""A supervised child process: started again when it crashes, ended when we say so."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.local.childhood import tied_to_parent
from deploy.local.failures import CannotRun
from deploy.local.files import tail
from deploy.local.settings import CHECKOUT

_STOP_SECONDS: Final = 12.0
#: Whoever has served for so long did come up: a crash after that is its first, not one of a row.
_STEADY_SECONDS: Final = 10.0
_HOPELESS_STARTS: Final = 3


@dataclass(frozen=True)
class BackOff:
    """How long to wait before the next start, in seconds."""

    first: float = 0.5
    most: float = 5.0

    def seconds(self, crashes: int) -> float:
        """The wait after so many crashes in a row (1 and up): twice as long each time."""
        return min(self.most, self.first * 2.0 ** (crashes - 1))


@dataclass(frozen=True)
class Crash:
    """What is told when a child ends on its own."""

    name: str
    exit_code: int
    restart_in_seconds: float
    last_words: str


class Child:
    """One child process and the loop that keeps it running."""

    def __init__(
        self,
        *,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        on_crash: Callable[[Crash], None],
        back_off: BackOff | None = None,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._log = log
        self._on_crash = on_crash
        self._back_off = back_off or BackOff()
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._crashes_in_a_row = 0
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def start(self) -> None:
        """Begin to keep it running."""
        self._task = asyncio.create_task(self._keep_running(), name=f"child {self.name}")

    async def stop(self) -> None:
        """Ask it to finish, insist after a while, and wait until it is gone."""
        self._stopping.set()
        if self._task is None:
            return
        self._send(signal.SIGTERM)
        done, _ = await asyncio.wait({self._task}, timeout=_STOP_SECONDS)
        if not done:
            self._send(signal.SIGKILL)
        await self._task

    def refuse_if_hopeless(self) -> None:
        """Raise CannotRun when it has crashed again and again without ever being steady."""
        if self._crashes_in_a_row >= _HOPELESS_STARTS:
            raise CannotRun("child_hopeless", name=self.name, log=tail(self._log, lines=30))

    async def _keep_running(self) -> None:
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            began = clock()
            exit_code = await self._run_once()
            if self._stopping.is_set():
                return
            steady = clock() - began > _STEADY_SECONDS
            self._crashes_in_a_row = 1 if steady else self._crashes_in_a_row + 1
            wait = self._back_off.seconds(self._crashes_in_a_row)
            self._on_crash(Crash(self.name, exit_code, wait, tail(self._log, lines=15)))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=wait)

    async def _run_once(self) -> int:
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                cwd=CHECKOUT,
                start_new_session=True,
                preexec_fn=_begin,
            )
        self.starts += 1
        if self._stopping.is_set():
            self._send(signal.SIGTERM)
        return await self._process.wait()

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


def _begin() -> None:
    # Without us nobody would restart or stop it, and the next runner wants its ports.
    tied_to_parent(signal.SIGKILL)


async def run_to_end(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path
) -> str | None:
    """Run a command that ends by itself; None when it succeeded, else its last words."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        cwd=CHECKOUT,
        start_new_session=True,
        preexec_fn=_begin,
    )
    output, _ = await process.communicate()
    with log.open("ab") as file:
        file.write(output)
    if process.returncode == 0:
        return None
    return "\n".join(output.decode("utf-8", errors="replace").splitlines()[-30:])
