"""Keeps throw-away servers for several processes, until the last of them has let go.

    python -m deploy.local.keeper <directory> [--fast]

Each user holds a shared lock on `<directory>/users`. The kernel lets go of it when a user dies,
however it dies; then the keeper ends the servers and removes their data. So a test run that is
killed leaves nothing behind.
"""

import argparse
import asyncio
import fcntl
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

from deploy.local.failures import CannotRun
from deploy.local.files import write_private, write_private_json
from deploy.local.servers import EmbeddedServers


async def keep(directory: Path, *, durable: bool) -> None:
    """Start the servers, tell their addresses in `ready.json`, end when nobody uses them."""
    servers = EmbeddedServers(data_directory=directory / "data", durable=durable)
    async with servers:
        write_private_json(
            directory / "ready.json",
            {"admin_url": servers.admin_url, "redis_url": servers.redis_url},
        )
        users = (directory / "users").open("a")
        await asyncio.to_thread(fcntl.flock, users, fcntl.LOCK_EX)
        (directory / "ready.json").unlink(missing_ok=True)
        await servers.valkey.kill()
        if servers.postgres.process is not None:
            servers.postgres.process.send(signal.SIGQUIT)
            await servers.postgres.process.ended(within_seconds=10)
    shutil.rmtree(directory, ignore_errors=True)
    with suppress(OSError):  # other users of the same run have a directory beside ours
        directory.parent.rmdir()
    users.close()


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.keeper")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--fast", action="store_true", help="no fsync: faster, lost at power cut")
    arguments = parser.parse_args()
    try:
        asyncio.run(keep(arguments.directory, durable=not arguments.fast))
    except CannotRun as failure:
        write_private(arguments.directory / "failed", str(failure))
        sys.exit(failure.exit_code)


if __name__ == "__main__":
    main()
