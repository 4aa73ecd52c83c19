"""Shows on the terminal what the services report as wrong; the whole logs stay in their files."""

import asyncio
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

_LOUD: Final = {"warning", "error", "critical"}
_MOST_PER_LOOK: Final = 5
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
    """Reads what is added to the logs and passes complaints on, a few at a time."""

    def __init__(self, *, logs: Iterable[Path], tell: Callable[[str, str], None]) -> None:
        self._positions = {log: log.stat().st_size if log.exists() else 0 for log in logs}
        self._tell = tell

    async def watch(self) -> None:
        """Look every second, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(1.0)

    def look(self) -> None:
        """Pass on what has been added since the last look."""
        for log in self._positions:
            heard = complaints(self._added(log))
            for complaint in heard[:_MOST_PER_LOOK]:
                self._tell(log.stem, complaint)
            if len(heard) > _MOST_PER_LOOK:
                self._tell(log.stem, f"+{len(heard) - _MOST_PER_LOOK} → {log}")

    def _added(self, log: Path) -> list[str]:
        if not log.exists():
            return []
        with log.open("rb") as file:
            file.seek(self._positions[log])
            added = file.read(1 << 20)
        complete = added[: added.rfind(b"\n") + 1]
        self._positions[log] += len(complete)
        return complete.decode("utf-8", errors="replace").splitlines()
