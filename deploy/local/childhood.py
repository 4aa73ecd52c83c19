"""How child processes begin: they end with their parent, and servers never run as root.

PostgreSQL refuses to run as root. As root, a server therefore enters a user namespace of its own,
in which root is an ordinary user; its files stay root's outside and nothing is created, chowned or
made readable for others. Where namespaces are refused, the server runs as `postgres` or `nobody`.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from deploy.local.failures import CannotRun

_PR_SET_PDEATHSIG: Final = 1
_CLONE_NEWUSER: Final = 0x10000000
_UID_INSIDE: Final = 1000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)

Begin = Callable[[], None]


@dataclass(frozen=True)
class ServerUser:
    """As whom a server process runs. `owner` is the uid that must own its files, if not ours."""

    enter: Begin
    owner: int | None = None

    def give(self, *paths: Path) -> None:
        """Hand files over to the server's user where that is somebody else."""
        if self.owner is not None:
            for path in paths:
                os.chown(path, self.owner, -1)


def tied_to_parent(on_parent_death: signal.Signals) -> None:
    """In a fresh child: ask the kernel for a signal when the parent dies (Linux only)."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(on_parent_death))


@cache
def server_user(probe: Path) -> ServerUser:
    """Choose as whom servers run. `probe` is a server binary that user must be able to run.

    Raises CannotRun when we are root and neither a namespace nor another user is to be had.
    """
    if os.geteuid() != 0:
        return ServerUser(enter=_stay)
    candidates = [ServerUser(enter=_enter_namespace)] if sys.platform == "linux" else []
    candidates += [_dropped_to(name) for name in ("postgres", "nobody") if _exists(name)]
    for candidate in candidates:
        if _can_run(probe, candidate.enter):
            return candidate
    raise CannotRun("root_refused", binary=str(probe))


def _stay() -> None:
    """Nothing to change: we are an ordinary user already."""


def _enter_namespace() -> None:
    if _LIBC.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{_UID_INSIDE} 0 1")
    _write("/proc/self/gid_map", f"{_UID_INSIDE} 0 1")


def _write(path: str, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)


def _exists(name: str) -> bool:
    return any(entry.pw_name == name for entry in pwd.getpwall())


def _dropped_to(name: str) -> ServerUser:
    user = pwd.getpwnam(name)

    def drop() -> None:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    return ServerUser(enter=drop, owner=user.pw_uid)


def _can_run(probe: Path, enter: Begin) -> bool:
    try:
        outcome = subprocess.run(
            [probe, "--version"],
            preexec_fn=enter,
            cwd="/",
            capture_output=True,
            check=False,
        )
    except (subprocess.SubprocessError, OSError):
        return False
    return outcome.returncode == 0
