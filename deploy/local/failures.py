"""What can keep the product from running on this machine, told in both languages."""

from typing import Final

from deploy.local.announcements import both

EXIT_USAGE: Final = 2


class CannotRun(Exception):
    """The product cannot run here; `str()` says why and what to do, in Chinese and English."""

    exit_code = 1

    def __init__(self, key: str, **facts: str | int) -> None:
        super().__init__(both(f"deploy.{key}", **facts))
        self.key = key


class NotAsAsked(CannotRun):
    """What was asked for is not free or not right: a port in use, a data directory in use."""

    exit_code = EXIT_USAGE
