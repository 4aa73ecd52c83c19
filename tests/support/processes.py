"""Real processes that tests start, kill with -9 and start again."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.waiting import until

_ROOT = Path(__file__).parent.parent.parent


def free_port() -> int:
    """A port of the loopback that nobody uses just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class ServerProcess:
    """A uvicorn of its own, on a port that stays the same over its lives."""

    app: str
    environment: Mapping[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, *, ready: bool = True) -> None:
        """Start it; with `ready`, wait until it says that it can serve."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "uvicorn", self.app, "--port", str(self.port)),
                *("--no-access-log", "--host", "127.0.0.1"),
                cwd=_ROOT,
                env={**os.environ, **self.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if ready:
            await until(self.answers, what=f"{self.app} to be ready; see {self.log}")

    async def answers(self) -> bool:
        """Whether it says that it is ready."""
        assert self._process is not None
        assert self._process.returncode is None, self.log.read_text()[-2000:]
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.url}/readyz")).is_success
        except httpx.TransportError:
            return False

    async def kill(self) -> None:
        """Kill -9, wherever it is."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to stop."""
        await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()
        self._process = None
