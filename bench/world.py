"""What is measured: servers of our own, databases, and the product's real processes."""

import asyncio
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import asyncpg
import httpx

from deploy.local.child import Child, Crash, run_to_end
from deploy.local.databases import another_database, drop_database
from deploy.local.failures import CannotRun
from deploy.local.files import DirectoryLock, tail
from deploy.local.ports import free_port
from deploy.local.postgres import SUPERUSER
from deploy.local.programs import GATEWAY, SERVICES, Program, service_addresses
from deploy.local.servers import EmbeddedServers
from deploy.local.settings import CHECKOUT, inherited_environment
from deploy.secrets import generate_secrets, process_secrets
from shared.http.tokens import Principal, TokenSigner
from shared.settings import decode_key

LOYALTY: Final = next(program for program in SERVICES if program.name == "loyalty")
#: As a small server of one's own would have it; the same for everything that is measured.
_SERVER_SETTINGS: Final = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "none",
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "scram_iterations": "1",
}
_PRINCIPAL: Final = Principal(kind="api_key", id="0123456789ab")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A process that answers HTTP: where, and which process it is."""

    name: str
    port: int
    pid: int


class World:
    """Starts the servers on entering; stops everything and removes the data on leaving.

    The data lies in the checkout, because a memory-backed /tmp would make fsync free of charge.
    """

    def __init__(self, directory: Path = CHECKOUT / ".data-bench") -> None:
        self._directory = directory
        self._stack = AsyncExitStack()
        self._secrets = generate_secrets()
        self._ports = {program.name: free_port() for program in (*SERVICES, GATEWAY)}
        self._children: dict[str, Child] = {}
        self._servers: EmbeddedServers | None = None

    async def __aenter__(self) -> Self:
        """Start PostgreSQL (fsync on) and Valkey. Raises CannotRun."""
        try:
            self._directory.mkdir(exist_ok=True)
            self._stack.enter_context(DirectoryLock(self._directory / "bench.lock"))
            # Only once it is ours: another bench may be running in it.
            self._stack.callback(self._remove_directory)
            self._empty()
            self._servers = EmbeddedServers(data_directory=self._directory)
            await self._stack.enter_async_context(self._servers)
            await self._set_up()
            self._stack.push_async_callback(self.stop_programs)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def servers(self) -> EmbeddedServers:
        """The running servers."""
        assert self._servers is not None
        return self._servers

    @property
    def postgres_pid(self) -> int:
        """The postmaster, parent of all backends."""
        process = self.servers.postgres.process
        assert process is not None
        return process.pid

    def admin_url(self, database: str) -> str:
        """A database as the superuser reaches it."""
        return another_database(self.servers.admin_url, database)

    def log(self, name: str) -> Path:
        """Where a process writes what it has to say."""
        return self._directory / "logs" / f"{name}.log"

    async def migrated(self, program: Program, *, database: str) -> str:
        """A database with the tables of a program, by its address. Raises CannotRun."""
        url = await self.servers.database_url(database)
        failure = await run_to_end(
            program.migrate(), environment=self.environment(program, url), log=self.log("migrate")
        )
        if failure is not None:
            raise CannotRun("migration_failed", name=program.name, log=failure)
        return url

    async def copy(self, database: str, *, of: str) -> str:
        """A fresh copy of a database that nobody is connected to; gives the superuser's address."""
        await drop_database(admin_url=self.servers.admin_url, name=database)
        connection = await asyncpg.connect(self.servers.admin_url, command_timeout=600)
        await connection.execute(f"create database {database} template {of} strategy file_copy")
        await connection.close()
        return self.admin_url(database)

    def environment(self, program: Program, database_url: str) -> dict[str, str]:
        """The environment of a process, as `make run` gives it."""
        return {
            **inherited_environment(),
            **process_secrets(self._secrets, process=program.name),
            **service_addresses(self._ports),
            program.database_variable: database_url,
            "REDIS_URL": self.servers.redis_url,
            "HUITOU_MODE": "live",
            "PYTHONUNBUFFERED": "1",
        }

    async def serve(self, program: Program, *, database_url: str) -> Server:
        """Start the gateway or a service as `make run` does, background work included.

        The neighbours that nobody calls here are left out, so the gateway, which is ready when all
        are, is only waited for until it lives.
        """
        port = self._ports[program.name]
        return await self.start(
            program.name,
            command=program.serve(host="127.0.0.1", port=port),
            environment=self.environment(program, database_url),
            port=port,
            answers="/healthz" if program is GATEWAY else "/readyz",
        )

    async def start(
        self,
        name: str,
        *,
        command: Sequence[str],
        environment: Mapping[str, str],
        port: int,
        answers: str = "/readyz",
    ) -> Server:
        """Start any HTTP process and wait until it answers 200. Raises CannotRun."""
        await self.stop(name)
        child = Child(
            name=name,
            command=command,
            environment=environment,
            log=self.log(name),
            on_crash=self._tell_crash,
        )
        self._children[name] = child
        child.start()
        await _wait(child, url=f"http://127.0.0.1:{port}{answers}")
        assert child.pid is not None
        return Server(name=name, port=port, pid=child.pid)

    async def stop(self, name: str) -> None:
        """Stop a process; nothing happens when it does not run."""
        child = self._children.pop(name, None)
        if child is not None:
            await child.stop()

    async def stop_programs(self) -> None:
        """Stop all processes that were started here."""
        for name in list(self._children):
            await self.stop(name)

    async def first_key(self, *, database_url: str) -> str:
        """A manager key of the gateway."""
        made = await asyncio.create_subprocess_exec(
            *(GATEWAY.migrate()[0], "-m", "gateway.first_key"),
            env=self.environment(GATEWAY, database_url),
            cwd=CHECKOUT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        output, _ = await made.communicate()
        return output.decode().split()[-1]

    def token(self, *, operation: str) -> str:
        """A fresh internal token for one operation of loyalty, as the gateway makes it."""
        key = decode_key(self._secrets["GATEWAY_INTERNAL_KEY"])
        signer = TokenSigner(issuer="gateway", private_key=key)
        return signer.token(audience="loyalty", operation=operation, principal=_PRINCIPAL)

    async def _set_up(self) -> None:
        """Set the server up and start it again with that."""
        connection = await asyncpg.connect(self.servers.admin_url)
        for name, value in _SERVER_SETTINGS.items():
            await connection.execute(f"alter system set {name} = '{value}'")
        await connection.close()
        await self.servers.postgres.stop()
        await self.servers.start()
        connection = await asyncpg.connect(self.servers.admin_url)
        await connection.execute("create extension pg_stat_statements")
        # Anew, under the few rounds of hashing set above: pgbench connects 32 times in each run.
        password = urlsplit(self.servers.admin_url).password
        await connection.execute(f"alter role {SUPERUSER} password '{password}'")
        await connection.close()

    def _remove_directory(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def _empty(self) -> None:
        """Remove what a killed run has left; its servers died with it."""
        for name in ("postgres", "valkey", "logs"):
            shutil.rmtree(self._directory / name, ignore_errors=True)
        (self._directory / "servers.json").unlink(missing_ok=True)

    def _tell_crash(self, crash: Crash) -> None:
        words = tail(self.log(crash.name), lines=20)
        print(f"{crash.name} ended with {crash.exit_code}:\n{words}", file=sys.stderr, flush=True)


async def _wait(child: Child, *, url: str) -> None:
    """Until it answers. Raises CannotRun when it keeps crashing or takes a minute."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        for _ in range(600):
            child.refuse_if_hopeless()
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
    raise CannotRun("never_ready", name=child.name, answer=url)
