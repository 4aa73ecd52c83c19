"""Commands that join a running system: the first key, psql, the audit of the ledger."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from deploy.local.binaries import find_postgres
from deploy.local.databases import ensure_database, for_driver
from deploy.local.failures import CannotRun
from deploy.local.files import read_texts
from deploy.local.settings import CHECKOUT, RunSettings, inherited_environment

_GATEWAY_URL: Final = "GATEWAY_DATABASE_URL"


def running_environment(settings: RunSettings) -> dict[str, str]:
    """The environment of the system that runs on the data directory, else the user's own.

    Raises CannotRun when neither tells where the gateway's database is, or it does not answer.
    """
    published = read_texts(settings.data_directory / "environment.json")
    environment = {**inherited_environment(), **published}
    if not environment.get(_GATEWAY_URL):
        raise CannotRun("not_running", directory=str(settings.data_directory))
    asyncio.run(ensure_database(url=environment[_GATEWAY_URL]))
    return environment


def first_key(settings: RunSettings) -> NoReturn:
    """Become the program that makes the first manager key."""
    environment = running_environment(settings)
    os.chdir(CHECKOUT)
    command = [sys.executable, "-m", "gateway.first_key"]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted


def psql(settings: RunSettings, *, name: str) -> NoReturn:
    """Become psql on the database of a service or of the gateway."""
    environment = running_environment(settings)
    url = environment.get(f"{name.upper()}_DATABASE_URL")
    if not url:
        raise CannotRun("unknown_service", name=name)
    program = find_postgres().directory / "psql"
    os.execve(program, [str(program), for_driver(url)], environment)  # noqa: S606


def verify(settings: RunSettings, *, dump: Path | None, expect: str | None) -> NoReturn:
    """Become the audit of loyalty's ledger: of the running system's database, or of a dump."""
    environment = inherited_environment() if dump else running_environment(settings)
    programs = str(find_postgres().directory)
    # For a dump in PostgreSQL's own format, which pg_restore reads.
    environment["PATH"] = os.pathsep.join([programs, environment.get("PATH", os.defpath)])
    command = [sys.executable, "-m", "services.loyalty.verify"]
    command += ["--dump", str(dump.absolute())] if dump else []
    command += ["--expect", expect] if expect else []
    os.chdir(CHECKOUT)
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted
