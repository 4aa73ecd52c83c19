"""Processor time of processes, from /proc (Linux): what a request costs, and whom."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Stat:
    """One process as /proc/PID/stat tells it; times in clock ticks."""

    pid: int
    parent: int
    own: int
    #: Of children that have ended and were waited for.
    reaped: int


def parse_stat(line: str) -> Stat:
    """Read a line of /proc/PID/stat (proc(5)). The name may hold spaces and brackets."""
    head, _, tail = line.rpartition(")")
    fields = tail.split()
    user, system, reaped_user, reaped_system = (int(field) for field in fields[11:15])
    return Stat(
        pid=int(head.partition(" ")[0]),
        parent=int(fields[1]),
        own=user + system,
        reaped=reaped_user + reaped_system,
    )


def tree_seconds(pid: int) -> float:
    """Processor time of a process, its living children and those that have ended, in seconds.

    Two levels, which is what a postmaster and its backends are. A process that is gone counts 0.
    """
    ticks = 0
    for stat in _all():
        if pid in (stat.pid, stat.parent):
            ticks += stat.own + stat.reaped
    return ticks / _TICKS_PER_S


def cpu_seconds(watched: dict[str, int]) -> dict[str, float]:
    """Processor time so far of some process trees, by the name they are watched under."""
    return {name: tree_seconds(pid) for name, pid in watched.items()}


def others_share(
    before: tuple[float, float], after: tuple[float, float], *, ours: Mapping[str, float]
) -> float:
    """The share of the machine that everything but `ours` used between two `machine_times`.

    `ours` is the processor time, in seconds, of what is measured and of its load.
    """
    busy, total = after[0] - before[0], after[1] - before[1]
    return max(0.0, busy - sum(ours.values())) / total if total > 0 else 0.0


def machine_times() -> tuple[float, float]:
    """Busy and total time of all processors since boot, in seconds (proc(5), /proc/stat)."""
    fields = [int(field) for field in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / _TICKS_PER_S, sum(fields) / _TICKS_PER_S


def _all() -> list[Stat]:
    found = []
    for directory in _PROC.iterdir():
        if directory.name.isdigit():
            try:
                found.append(parse_stat((directory / "stat").read_text()))
            except (OSError, ValueError, IndexError):
                continue  # it ended meanwhile
    return found
