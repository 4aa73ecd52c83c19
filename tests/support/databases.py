"""Migrated databases for tests, each a copy of a template that is migrated once per worker."""

import itertools
import threading
from dataclasses import dataclass, field

from shared.migrate import migrate
from shared.settings import async_url
from tests.servers import Servers

_numbers = itertools.count(1)


def package_of(service: str) -> str:
    """The Python package of a service."""
    return service if service == "gateway" else f"services.{service}"


@dataclass
class Databases:
    """Databases of one test worker."""

    servers: Servers
    worker: str
    _templates: dict[str, str] = field(default_factory=dict)

    def fresh(self, service: str) -> str:
        """The address of a new, migrated, empty database of a service."""
        name = f"{service}_{self.worker}_{next(_numbers)}"
        return self.servers.create_database(name, template=self._template(service))

    def empty(self, name: str) -> str:
        """The address of a new database with nothing in it."""
        return self.servers.create_database(f"{name}_{self.worker}_{next(_numbers)}")

    def owned(self, service: str) -> str:
        """The address of a new, migrated, empty database whose owner is no superuser."""
        name = f"{service}_owned_{self.worker}_{next(_numbers)}"
        url = self.servers.create_owned_database(name)
        migrate_in_thread(package_of(service), url=async_url(url))
        return url

    def _template(self, service: str) -> str:
        if service not in self._templates:
            name = f"template_{service}_{self.worker}"
            url = self.servers.create_database(name)
            migrate_in_thread(package_of(service), url=async_url(url))
            self._templates[service] = name
        return self._templates[service]


def migrate_in_thread(package: str, *, url: str, revision: str = "head") -> None:
    """Migrate from within a running loop: Alembic starts a loop of its own."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            migrate(package, url=url, revision=revision)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
