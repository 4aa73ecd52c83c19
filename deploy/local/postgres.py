"""An embedded PostgreSQL: makes its data directory, starts, adopts, stops."""

import asyncio
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg

from deploy.local.binaries import PostgresPrograms, find_postgres
from deploy.local.childhood import ServerUser, server_user
from deploy.local.failures import CannotRun
from deploy.local.files import tail, write_private
from deploy.local.ports import remembered_or_free
from deploy.local.server_process import ServerProcess, launch, works_in

SUPERUSER: Final = "huitou"
_INCLUDE: Final = (
    "\n# Written anew by the runner at every start. Settings of your own go below it.\n"
)
_READY_SECONDS: Final = 120.0
_LEFTOVERS: Final = (
    "pre-existing shared memory block",
    'lock file "postmaster.pid" already exists',
)
_BUILTIN_LOCALE_SINCE: Final = 17


class Postgres:
    """One PostgreSQL server on 127.0.0.1 with its data directory."""

    def __init__(
        self,
        *,
        directory: Path,
        log: Path,
        password: str,
        port: int | None = None,
        durable: bool = True,
        programs_in: Path | None = None,
    ) -> None:
        self._directory = directory.absolute()
        self._log = log
        self._password = password
        self._wanted_port = port
        self._durable = durable
        self._programs_in = programs_in
        self._process: ServerProcess | None = None
        self.port = 0

    @property
    def process(self) -> ServerProcess | None:
        """The running server, None before the start and after the stop."""
        return self._process

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.alive

    def url(self, database: str, *, user: str = SUPERUSER, password: str | None = None) -> str:
        """The address of a database, as the superuser or as another role."""
        word = quote(self._password if password is None else password, safe="")
        return f"postgresql://{user}:{word}@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        """Make the data directory if needed, then adopt the server that runs on it or start one.

        Raises CannotRun when there is no PostgreSQL, when the directory is of another major
        version, or when the server does not start.
        """
        programs = find_postgres(chosen=self._programs_in)
        user = server_user(programs.postgres)
        if not self._directory.exists():
            await asyncio.to_thread(self._initialise, programs, user)
        self._refuse_another_version(programs)
        self._process = await self._adopt() or await self._launch(programs, user)

    async def stop(self) -> None:
        """Stop cleanly: clients are disconnected, everything is on disk."""
        if self._process is not None:
            await self._process.end(politely=signal.SIGINT, at_last=signal.SIGQUIT)
            self._process = None

    async def kill(self) -> None:
        """Kill -9, as a crash does."""
        if self._process is not None:
            self._process.send(signal.SIGKILL)
            await self._process.ended(within_seconds=10)
            self._process = None

    def _initialise(self, programs: PostgresPrograms, user: ServerUser) -> None:
        """Make the data directory aside and move it into place: a crash leaves none, not half."""
        draft = self._directory.with_name(self._directory.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        secret = self._directory.with_name("initial-password")
        write_private(secret, self._password + "\n")
        user.give(draft, secret)
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            if programs.major >= _BUILTIN_LOCALE_SINCE
            else ["--locale=C.UTF-8"]
        )
        command = [
            *(str(programs.initdb), "-D", str(draft), "-U", SUPERUSER, "-E", "UTF8"),
            *("-A", "scram-sha-256", f"--pwfile={secret}", "--data-checksums", *locale),
            *([] if self._durable else ["--no-sync"]),
        ]
        outcome = subprocess.run(
            command,
            preexec_fn=user.enter,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        secret.unlink()
        if outcome.returncode != 0:
            raise CannotRun("postgres_failed", log=outcome.stdout + outcome.stderr)
        with (draft / "postgresql.conf").open("a") as settings:
            settings.write(f"{_INCLUDE}include_if_exists = 'huitou.conf'\n")
        draft.rename(self._directory)

    def _refuse_another_version(self, programs: PostgresPrograms) -> None:
        found = (self._directory / "PG_VERSION").read_text().strip()
        if found != str(programs.major):
            raise CannotRun(
                "postgres_version",
                directory=str(self._directory),
                found=found,
                ours=programs.major,
            )

    async def _adopt(self) -> ServerProcess | None:
        """The server that still runs on this directory, if any; a stale lock file is removed."""
        lock = self._directory / "postmaster.pid"
        if not lock.exists():
            return None
        lines = lock.read_text().splitlines()
        pid = int(lines[0]) if lines and lines[0].isdigit() else 0
        if not works_in(pid, self._directory):
            # The number may belong to a stranger by now, at which PostgreSQL would give up.
            lock.unlink(missing_ok=True)
            return None
        process = ServerProcess(pid)
        wanted, self.port = self.port, int(lines[3]) if len(lines) > 3 else 0
        if await self._answers(process):
            return process
        self.port = wanted
        return None

    async def _launch(self, programs: PostgresPrograms, user: ServerUser) -> ServerProcess:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            # A server that has run keeps its port: the services hold its address.
            self.port = self.port or remembered_or_free(self._wanted_port)
            self._write_settings(user)
            process = launch(
                [programs.postgres, "-D", self._directory],
                user=user,
                log=self._log,
                on_parent_death=signal.SIGINT,
            )
            if await self._answers(process):
                return process
            last_words = tail(self._log, lines=20)
            leftover = any(sign in last_words for sign in _LEFTOVERS)
            if not leftover or time.monotonic() > deadline:
                process.send(signal.SIGKILL)
                raise CannotRun("postgres_failed", log=last_words)
            await asyncio.sleep(0.2)  # processes of a killed server take a moment to leave

    def _write_settings(self, user: ServerUser) -> None:
        on_disk = "on" if self._durable else "off"
        file = self._directory / "huitou.conf"
        write_private(
            file,
            f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\n"
            f"max_connections = 200\nshared_buffers = 128MB\njit = off\n"
            f"fsync = {on_disk}\nfull_page_writes = {on_disk}\nsynchronous_commit = {on_disk}\n"
            f"timezone = 'UTC'\nlog_timezone = 'UTC'\nlog_min_messages = warning\n",
        )
        user.give(file)

    async def _answers(self, process: ServerProcess) -> bool:
        """Wait until the server lets us in; False when it ends instead."""
        deadline = time.monotonic() + _READY_SECONDS
        while process.alive and time.monotonic() < deadline:
            try:
                connection = await asyncpg.connect(self.url("postgres"), timeout=5)
            except (OSError, asyncpg.CannotConnectNowError, TimeoutError):
                await asyncio.sleep(0.02)
            except asyncpg.PostgresError as refusal:
                raise CannotRun("postgres_failed", log=str(refusal)) from refusal
            else:
                await connection.close()
                return True
        return False
