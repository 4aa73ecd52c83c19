"""The processes of the product, and how each is started."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_UVICORN: Final = (
    *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header"),
    "--no-proxy-headers",
    *("--timeout-graceful-shutdown", "8"),
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """One process: a service or the gateway."""

    name: str
    package: str

    @property
    def database_variable(self) -> str:
        """The environment variable with the address of its database."""
        return f"{self.name.upper()}_DATABASE_URL"

    def serve(self, *, host: str, port: int) -> Sequence[str]:
        """The command that serves it over HTTP."""
        place = ("--host", host, "--port", str(port))
        return (sys.executable, "-m", "uvicorn", f"{self.package}.main:app", *place, *_UVICORN)

    def migrate(self) -> Sequence[str]:
        """The command that brings its database to the newest revision."""
        return (sys.executable, "-m", "shared.migrate", self.package)


GATEWAY: Final = Program(name="gateway", package="gateway")
SERVICES: Final = (
    Program(name="loyalty", package="services.loyalty"),
    Program(name="referral", package="services.referral"),
    Program(name="segmentation", package="services.segmentation"),
)
PROGRAMS: Final = (*SERVICES, GATEWAY)


def service_addresses(ports: Mapping[str, int]) -> dict[str, str]:
    """`LOYALTY_URL` and its kin, which every process gets."""
    return {
        f"{program.name.upper()}_URL": f"http://127.0.0.1:{ports[program.name]}"
        for program in SERVICES
    }
