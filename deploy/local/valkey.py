"""An embedded Valkey (or Redis): starts, adopts, stops."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from deploy.local.binaries import find_valkey
from deploy.local.childhood import server_user
from deploy.local.failures import CannotRun
from deploy.local.files import tail, write_private
from deploy.local.ports import remembered_or_free
from deploy.local.server_process import ServerProcess, launch

_READY_SECONDS: Final = 60.0


class Valkey:
    """One Valkey server on 127.0.0.1, with an append-only file in its data directory."""

    def __init__(
        self, *, directory: Path, log: Path, password: str, port: int | None = None
    ) -> None:
        self._directory = directory.absolute()
        self._log = log
        self._password = password
        self._process: ServerProcess | None = None
        self._wanted_port = port
        self.port = 0

    @property
    def process(self) -> ServerProcess | None:
        """The running server, None before the start and after the stop."""
        return self._process

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.alive

    def url(self, *, db: int = 0) -> str:
        """The address of one of its sixteen numbered databases."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/{db}"

    async def start(self) -> None:
        """Adopt the server that still runs on this directory, or start one.

        Raises CannotRun when there is no Valkey or it does not start.
        """
        binary = find_valkey()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if await self._adopt():
            return
        # A server that has run keeps its port: the services hold its address.
        self.port = self.port or remembered_or_free(self._wanted_port)
        settings = self._write_settings()
        user = server_user(binary)
        user.give(self._directory, settings)
        self._process = launch(
            [binary, settings], user=user, log=self._log, on_parent_death=signal.SIGTERM
        )
        await self._wait_until_ready(self._process)

    async def stop(self) -> None:
        """Stop cleanly, with its data on disk."""
        if self._process is not None:
            await self._process.end(politely=signal.SIGTERM, at_last=signal.SIGKILL)
            self._process = None

    async def kill(self) -> None:
        """Kill -9, as a crash does."""
        if self._process is not None:
            self._process.send(signal.SIGKILL)
            await self._process.ended(within_seconds=10)
            self._process = None

    async def _adopt(self) -> bool:
        """Take over the server of last time if it still runs."""
        answering = await self._process_id(self.port or self._wanted_port or 0)
        if answering is None:
            return False
        self.port = self.port or self._wanted_port or 0
        self._process = ServerProcess(answering)
        return True

    def _write_settings(self) -> Path:
        file = self._directory / "valkey.conf"
        write_private(
            file,
            f'bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\ndir "'
            f'{self._directory}"\nappendonly yes\nappendfsync everysec\nsave ""\ndaemonize no\n',
        )
        return file

    async def _wait_until_ready(self, process: ServerProcess) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while process.alive and time.monotonic() < deadline:
            if await self._process_id(self.port) is not None:
                return
            await asyncio.sleep(0.02)
        process.send(signal.SIGKILL)
        raise CannotRun("valkey_failed", log=tail(self._log, lines=20))

    async def _process_id(self, port: int) -> int | None:
        """Who answers there with our password, which is known to nobody else."""
        if port == 0:
            return None
        client = Redis(
            host="127.0.0.1",
            port=port,
            password=self._password,
            socket_connect_timeout=2,
            socket_timeout=2,
            retry=Retry(NoBackoff(), 0),  # the library's own would wait seconds for nobody
        )
        try:
            facts = await client.info("server")
            return None if facts.get("loading") else int(facts["process_id"])
        except (RedisError, OSError):
            return None
        finally:
            await client.aclose()
