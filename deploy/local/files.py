"""Small private files of the data directory: a crash leaves the old one or the new, not half."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from deploy.local.failures import NotAsAsked


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def write_private_json(path: Path, values: Mapping[str, str | int]) -> None:
    """Write named values as JSON into a private file."""
    write_private(path, json.dumps(dict(values), indent=2, sort_keys=True) + "\n")


def read_texts(path: Path) -> dict[str, str]:
    """The named values of a private file as texts; none when it does not exist."""
    if not path.exists():
        return {}
    return {name: str(value) for name, value in json.loads(path.read_text("utf-8")).items()}


def tail(path: Path, *, lines: int) -> str:
    """The last lines of a log, empty when there is none. Reads at most the last 64 KiB."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 65_536))
        content = file.read().decode("utf-8", errors="replace")
    return "\n".join(content.splitlines()[-lines:])


class DirectoryLock:
    """One runner per data directory. The kernel lets go of it when the holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> "DirectoryLock":
        """Take the lock. Raises NotAsAsked when somebody else holds it."""
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "?"
            file.close()
            raise NotAsAsked(
                "directory_in_use", directory=str(self._path.parent), pid=holder
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
