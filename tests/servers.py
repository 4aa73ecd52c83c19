"""One PostgreSQL and one Valkey for a whole test run, shared by all xdist workers.

The first worker starts them, the last one to leave ends them (see `deploy.local.keeper`).
"""

import asyncio
import fcntl
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from deploy.local.databases import (
    another_database,
    copy_database,
    drop_database,
    ensure_role_and_database,
)
from deploy.local.files import read_texts

T = TypeVar("T")

_CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Servers:
    """The shared servers. All calls are blocking and may be made from anywhere."""

    admin_url: str
    """The superuser's address, `postgresql://…/postgres`."""

    _redis_url: str

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, as a copy of a template if one is given; returns its address."""
        _blocking(copy_database(admin_url=self.admin_url, name=name, template=template))
        return self.database_url(name)

    def create_owned_database(self, name: str) -> str:
        """Make a database and its owner of the same name, as the runner and compose do."""
        make = ensure_role_and_database(admin_url=self.admin_url, name=name, password="word")
        _blocking(make)
        place = urlsplit(self.admin_url).netloc.rpartition("@")[2]
        return f"postgresql://{name}:word@{place}/{name}"

    def drop_database(self, name: str) -> None:
        """Remove a database and disconnect whoever uses it."""
        _blocking(drop_database(admin_url=self.admin_url, name=name))

    def database_url(self, name: str) -> str:
        """The address of a database of that name, as the superuser: `postgresql://…/name`."""
        return another_database(self.admin_url, name)

    def redis_url(self, db: int = 0) -> str:
        """The address of one of Valkey's sixteen numbered databases (0 to 15)."""
        return urlunsplit(urlsplit(self._redis_url)._replace(path=f"/{db}"))


@contextmanager
def shared_servers(*, durable: bool = True) -> Iterator[Servers]:
    """The servers of this test run, started if we are the first, left running for the others.

    `durable=False` turns fsync off; such servers are separate ones.
    """
    directory = _run_directory(durable=durable)
    with _place_among_users(directory):
        yield _servers_of(directory, durable=durable)


def _place_among_users(directory: Path) -> IO[str]:
    """Hold the shared lock that keeps the servers alive, until it is closed."""
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            users = (directory / "users").open("a")
            fcntl.flock(users, fcntl.LOCK_SH)
            if os.fstat(users.fileno()).st_nlink > 0:
                return users
            users.close()  # the keeper of others has just cleared the directory away


def _run_directory(*, durable: bool) -> Path:
    worker_of = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    run = worker_of or f"pid-{os.getpid()}"
    kind = "durable" if durable else "fast"
    return Path(tempfile.gettempdir()) / f"huitou-tests-{os.getuid()}" / run / kind


def _servers_of(directory: Path, *, durable: bool) -> Servers:
    with (directory / "start").open("a") as start:
        fcntl.flock(start, fcntl.LOCK_EX)
        if not (directory / "ready.json").exists():
            _start_keeper(directory, durable=durable)
    facts = read_texts(directory / "ready.json")
    return Servers(admin_url=facts["admin_url"], _redis_url=facts["redis_url"])


def _start_keeper(directory: Path, *, durable: bool) -> None:
    (directory / "failed").unlink(missing_ok=True)
    command = [sys.executable, "-m", "deploy.local.keeper", str(directory)]
    with (directory / "keeper.log").open("ab") as log:
        keeper = subprocess.Popen(
            command if durable else [*command, "--fast"],
            cwd=_CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    threading.Thread(target=keeper.wait, daemon=True).start()
    deadline = time.monotonic() + 120
    while not (directory / "ready.json").exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            failed = directory / "failed"
            log_file = failed if failed.exists() else directory / "keeper.log"
            raise RuntimeError(log_file.read_text())
        time.sleep(0.02)


def _blocking(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a thread of its own: the caller's thread may have a running loop."""
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]
