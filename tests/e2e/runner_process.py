"""`python -m deploy.local run` as a process, for the tests of the runner."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.waiting import until

CHECKOUT = Path(__file__).parents[2]
_READY = "Huitou is running"
_LONGEST_S = 180.0


class RunnerProcess:
    """One run of the runner on a data directory, on a free port."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        ours = {"HUITOU_DATA": str(directory), "PORT": "0", "HOST": "127.0.0.1"}
        self.environment = {**_clean_environment(), **ours, **(environment or {})}
        self.said = ""
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        """Start it; it is not ready yet."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.local", "run"),
            cwd=CHECKOUT,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def ready(self) -> Self:
        """Wait until it says that all is running; fail with its words when it ends instead."""
        await until(lambda: _READY in self.said or self.ended, what=_READY, within_s=_LONGEST_S)
        assert _READY in self.said, self.said
        return self

    async def __aenter__(self) -> Self:
        return await (await self.start()).ready()

    async def __aexit__(self, *_: object) -> None:
        if not self.ended:
            self.send(signal.SIGTERM)
        await self.exit_code()

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    @property
    def ended(self) -> bool:
        return self.process.returncode is not None

    @property
    def address(self) -> str:
        """Where the gateway answers, as the runner printed it."""
        found = re.search(r"address\s+(http://\S+)", self.said)
        assert found is not None
        return found.group(1)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the runner alone, not to its children."""
        self.process.send_signal(number)

    async def exit_code(self) -> int:
        """Wait for its end."""
        code = await asyncio.wait_for(self.process.wait(), timeout=60)
        if self._reading is not None:
            await self._reading
        return code

    def children(self) -> dict[str, int]:
        """The running processes it has started: name of the program → process id."""
        found = {}
        for status in Path("/proc").glob("[0-9]*/status"):
            pid = int(status.parent.name)
            try:
                parent = re.search(r"^PPid:\s+(\d+)", status.read_text(), re.MULTILINE)
                command = (status.parent / "cmdline").read_text().split("\0")
            except OSError:
                continue  # it has ended meanwhile
            if parent and int(parent.group(1)) == self.process.pid and command[0]:
                app = next((word for word in command if word.endswith(":app")), command[0])
                found[_program_name(app)] = pid
        return found

    async def first_key(self) -> str:
        """What `make first-key` says on its last line."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.local", "first-key"),
            cwd=CHECKOUT,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output
        return output.decode().splitlines()[-1]

    def published(self) -> dict[str, str]:
        """The environment the runner leaves for `make first-key`."""
        read: dict[str, str] = json.loads((self.directory / "environment.json").read_text())
        return read

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.said += line.decode()


def _program_name(word: str) -> str:
    """`services.loyalty.main:app` is loyalty; a server's path may have its port behind it."""
    return Path(word.split()[0]).name.removesuffix(".main:app").rpartition(".")[2]


def _clean_environment() -> dict[str, str]:
    """This environment without what would tell the runner where to find servers and data."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_URL") and not name.startswith("HUITOU_")
    }
