"""The whole product on this machine: servers, databases, services, gateway.

async with System(settings=RunSettings()) as system:
    ...  # it answers at system.address
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from deploy.local.announcements import announce, relay
from deploy.local.child import Child, Crash, run_to_end
from deploy.local.databases import ensure_database
from deploy.local.failures import CannotRun, NotAsAsked
from deploy.local.files import DirectoryLock, read_texts, write_private_json
from deploy.local.log_watch import LogWatch, rotate
from deploy.local.ports import free_port, is_free
from deploy.local.programs import GATEWAY, PROGRAMS, SERVICES, Program, service_addresses
from deploy.local.readiness import wait_until_ready
from deploy.local.servers import EmbeddedServers
from deploy.local.settings import RunSettings, inherited_environment
from deploy.secrets import generate_secrets, process_secrets

_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Place:
    """Where a process listens."""

    host: str
    port: int

    @property
    def address(self) -> str:
        """Where this machine reaches it, without a slash at the end."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{self.port}"


class System:
    """Starts everything on entering, stops services and then servers on leaving."""

    def __init__(self, *, settings: RunSettings) -> None:
        self._settings = settings
        self.directory: Path = settings.data_directory
        self.logs = self.directory / "logs"
        self._places = _places(settings)
        self._databases: dict[str, str] = {}
        self._redis_url = settings.redis_url or ""
        self._secrets: dict[str, str] = {}
        self._servers: EmbeddedServers | None = None
        self._stack = AsyncExitStack()
        self.children: dict[str, Child] = {}

    @property
    def address(self) -> str:
        """Where the gateway answers."""
        return self._places[GATEWAY.name].address

    async def __aenter__(self) -> Self:
        """Start and wait until all are ready.

        Raises NotAsAsked when the port or the data directory is in use, CannotRun when a part
        does not start; whatever had been started is stopped again.
        """
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._stack.enter_context(DirectoryLock(self.directory / "runner.lock"))
            self._refuse_port_in_use()
            self._load_secrets()
            await self._start_servers()
            self._stack.push_async_callback(self._stop_children)
            self._in_background(self._keep_servers())
            async with asyncio.TaskGroup() as group:
                for program in PROGRAMS:
                    group.create_task(self._bring_up(program))
            self._publish_environment()
            self._watch_logs()
        except ExceptionGroup as failures:
            await self._stack.aclose()
            raise _first_of(failures) from None
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

    def environment(self, program: Program) -> dict[str, str]:
        """The environment of one process; what the user's own environment sets stays."""
        ports = {name: place.port for name, place in self._places.items()}
        return {
            **inherited_environment(),
            **process_secrets(self._secrets, process=program.name),
            **service_addresses(ports),
            program.database_variable: self._databases[program.name],
            "REDIS_URL": self._redis_url,
            "HUITOU_MODE": self._settings.mode,
            "PYTHONUNBUFFERED": "1",
        }

    def _refuse_port_in_use(self) -> None:
        gateway = self._places[GATEWAY.name]
        if not is_free(gateway.port, host=gateway.host):
            raise NotAsAsked("port_in_use", host=gateway.host, port=gateway.port)

    def _load_secrets(self) -> None:
        file = self.directory / "secrets.json"
        kept = generate_secrets(read_texts(file))
        write_private_json(file, kept)
        own = inherited_environment()
        self._secrets = generate_secrets({**kept, **{n: own[n] for n in kept if own.get(n)}})

    async def _start_servers(self) -> None:
        given = [self._settings.given_database_url(program.name) for program in PROGRAMS]
        servers = EmbeddedServers(
            data_directory=self.directory,
            with_postgres=not all(given),
            with_valkey=not self._redis_url,
        )
        if not all(given) or not self._redis_url:
            announce("servers_starting")
        self._servers = await self._stack.enter_async_context(servers)
        self._redis_url = self._redis_url or servers.redis_url

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        self._stack.callback(asyncio.create_task(work).cancel)

    def _watch_logs(self) -> None:
        """From when all are ready: that neighbours are away while they start is no complaint."""
        watch = LogWatch(logs=[self._log(program) for program in PROGRAMS], tell=relay)
        self._in_background(watch.watch())

    async def _bring_up(self, program: Program) -> None:
        """One process from its empty database to its first `ready`; all go in parallel."""
        given = self._settings.given_database_url(program.name)
        if given:
            await ensure_database(url=given)
        self._databases[program.name] = given or await self._own_servers.database_url(program.name)
        environment = self.environment(program)
        log = self._log(program)
        rotate(log)
        failure = await run_to_end(program.migrate(), environment=environment, log=log)
        if failure is not None:
            raise CannotRun("migration_failed", name=program.name, log=failure)
        place = self._places[program.name]
        child = Child(
            name=program.name,
            command=program.serve(host=place.host, port=place.port),
            environment=environment,
            log=log,
            on_crash=_tell_crash,
        )
        self.children[program.name] = child
        child.start()
        await wait_until_ready(child, address=place.address)
        announce("child_ready", name=program.name)

    async def _keep_servers(self) -> None:
        """Start a server again that has died; the services reconnect by themselves."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for name in self._own_servers.dead():
                announce("server_died", name=name)
                try:
                    await self._own_servers.start()
                except (CannotRun, OSError) as failure:
                    relay(name, str(failure))
                    await asyncio.sleep(10 * _LOOK_SECONDS)

    @property
    def _own_servers(self) -> EmbeddedServers:
        if self._servers is None:
            raise CannotRun("not_running", directory=str(self.directory))
        return self._servers

    async def _stop_children(self) -> None:
        """The gateway first, so that nobody calls a service that is gone; then the services."""
        (self.directory / "environment.json").unlink(missing_ok=True)
        gateway = self.children.get(GATEWAY.name)
        if gateway is not None:
            await gateway.stop()
        services = [self.children[one.name] for one in SERVICES if one.name in self.children]
        await asyncio.gather(*(service.stop() for service in services))

    def _publish_environment(self) -> None:
        """Leave what `make first-key` and the demo need to reach this system."""
        ports = {name: place.port for name, place in self._places.items()}
        values = {
            **{one.database_variable: self._databases[one.name] for one in PROGRAMS},
            **process_secrets(self._secrets, process=GATEWAY.name),
            **service_addresses(ports),
            "REDIS_URL": self._redis_url,
            "HUITOU_MODE": self._settings.mode,
            "GATEWAY_URL": self.address,
        }
        write_private_json(self.directory / "environment.json", values)

    def _log(self, program: Program) -> Path:
        return self.logs / f"{program.name}.log"


def _places(settings: RunSettings) -> dict[str, Place]:
    places = {one.name: Place("127.0.0.1", free_port()) for one in SERVICES}
    return {**places, GATEWAY.name: Place(settings.host, settings.port or free_port())}


def _tell_crash(crash: Crash) -> None:
    announce(
        "child_crashed",
        name=crash.name,
        code=crash.exit_code,
        seconds=f"{crash.restart_in_seconds:.1f}",
    )
    relay(crash.name, crash.last_words)


def _first_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first
