"""Shows on the terminal what the services report as wrong; the whole logs stay in their files."""

import asyncio
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

_LOUD: Final = {"warning", "error", "critical"}
_QUIET_SECONDS: Final = 60.0
_MOST_PER_MINUTE: Final = 30
_LARGEST_BYTES: Final = 20 * 1024 * 1024


def rotate(log: Path) -> None:
    """Set a log aside that has grown beyond 20 MiB, keeping one older one."""
    if log.exists() and log.stat().st_size > _LARGEST_BYTES:
        log.replace(log.with_name(log.name + ".1"))


def complaints(lines: Iterable[str]) -> list[str]:
    """The warnings and errors among JSON log lines, in short; what is not JSON is left out."""
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("level") in _LOUD:
            found.append(f"{record['level']}: {record.get('event', '')}")
    return found


class LogWatch:
    """Passes on complaints that are added to the logs; the same one at most once a minute."""

    def __init__(self, *, logs: Iterable[Path], tell: Callable[[str, str], None]) -> None:
        self._positions = {log: log.stat().st_size if log.exists() else 0 for log in logs}
        self._tell = tell
        self._told: dict[tuple[str, str], float] = {}

    async def watch(self) -> None:
        """Look every second, until cancelled."""
        while True:
            self.look(at=asyncio.get_running_loop().time())
            await asyncio.sleep(1.0)

    def look(self, *, at: float) -> None:
        """Pass on what has been added since the last look. `at` is in seconds of any clock."""
        self._told = {said: when for said, when in self._told.items() if at - when < _QUIET_SECONDS}
        for log in self._positions:
            for complaint in complaints(self._added(log)):
                said = (log.stem, complaint)
                if said not in self._told and len(self._told) < _MOST_PER_MINUTE:
                    self._told[said] = at
                    self._tell(*said)

    def _added(self, log: Path) -> list[str]:
        if not log.exists():
            return []
        with log.open("rb") as file:
            file.seek(self._positions[log])
            added = file.read(1 << 20)
        complete = added[: added.rfind(b"\n") + 1]
        self._positions[log] += len(complete)
        return complete.decode("utf-8", errors="replace").splitlines()
