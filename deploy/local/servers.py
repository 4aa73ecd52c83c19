"""The embedded servers of one data directory: one PostgreSQL, one Valkey.

async with EmbeddedServers(data_directory=path) as servers:
    url = await servers.database_url("loyalty")
"""

from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.databases import ensure_role_and_database, new_password
from deploy.local.files import read_texts, write_private_json
from deploy.local.postgres import Postgres
from deploy.local.valkey import Valkey


class EmbeddedServers:
    """Starts or adopts the servers on a data directory. Passwords and ports are kept there.

    Whoever starts them is their parent: they stop when that process dies. `durable=False` trades
    safety at a power cut for speed and is for throw-away tests only.
    """

    def __init__(
        self,
        *,
        data_directory: Path,
        with_postgres: bool = True,
        with_valkey: bool = True,
        durable: bool = True,
        postgres_programs: Path | None = None,
    ) -> None:
        self._directory = data_directory.absolute()
        self._with_postgres = with_postgres
        self._with_valkey = with_valkey
        logs = self._directory / "logs"
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kept = self._read_kept()
        self.postgres = Postgres(
            directory=self._directory / "postgres",
            log=logs / "postgres.log",
            password=self._password("postgres"),
            port=self._port("postgres"),
            durable=durable,
            programs_in=postgres_programs,
        )
        self.valkey = Valkey(
            directory=self._directory / "valkey",
            log=logs / "valkey.log",
            password=self._password("valkey"),
            port=self._port("valkey"),
        )

    async def __aenter__(self) -> Self:
        """Start or adopt. Raises CannotRun, with nothing of ours left running."""
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start or adopt what was asked for; what runs already is left alone."""
        self._keep()
        if self._with_postgres and not self.postgres.alive:
            await self.postgres.start()
            self._kept["postgres_port"] = str(self.postgres.port)
        if self._with_valkey and not self.valkey.alive:
            await self.valkey.start()
            self._kept["valkey_port"] = str(self.valkey.port)
        self._keep()

    async def stop(self) -> None:
        """Stop both, cleanly."""
        await self.valkey.stop()
        await self.postgres.stop()

    def dead(self) -> list[str]:
        """The names of those that were started here and have ended on their own."""
        parts: dict[str, Postgres | Valkey] = {"PostgreSQL": self.postgres, "Valkey": self.valkey}
        return [name for name, one in parts.items() if one.process and not one.alive]

    @property
    def admin_url(self) -> str:
        """The superuser's address, in the spelling of asyncpg and psql."""
        return self.postgres.url("postgres")

    @property
    def redis_url(self) -> str:
        """The address of Valkey's database 0."""
        return self.valkey.url()

    async def database_url(self, name: str) -> str:
        """The address of a service's own database, made on first use with a role of its own."""
        password = self._password(f"database_{name}")
        self._keep()
        await ensure_role_and_database(admin_url=self.admin_url, name=name, password=password)
        return self.postgres.url(name, user=name, password=password)

    def _read_kept(self) -> dict[str, str]:
        return read_texts(self._directory / "servers.json")

    def _keep(self) -> None:
        write_private_json(self._directory / "servers.json", self._kept)

    def _password(self, name: str) -> str:
        return self._kept.setdefault(f"{name}_password", new_password())

    def _port(self, name: str) -> int | None:
        port = self._kept.get(f"{name}_port")
        return int(port) if port else None
