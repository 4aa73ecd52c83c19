"""The peers as variants of the bench."""

import importlib.util
import secrets
from dataclasses import asdict, dataclass
from typing import Final

from bench.failures import RunFailed
from bench.peers.driving import PeerJob
from bench.requests import Kind
from bench.site import Site
from bench.variants import Sample, load_sample, run_job

_MEMBERS: Final = 1_000
#: Threads of Django, each with a connection of its own; more only wait for one another.
_THREADS: Final = 16
_SET_UP_S: Final = 600.0
_WARM_S: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class PeerVariant:
    """Another library, in a process of its own that is load and library at once."""

    name: str
    module: str
    kind: Kind
    url: str
    callers: int
    postgres_pid: int

    async def measure(self, seconds: float, *, counting: bool = False) -> Sample:
        """Run it. Raises RunFailed when any act fails."""
        job = PeerJob(
            url=self.url,
            kind=self.kind,
            run=secrets.token_hex(6),
            members=_MEMBERS,
            callers=self.callers,
            warm_s=0.0 if counting else _WARM_S,
            seconds=seconds,
            watched={"postgres": self.postgres_pid},
        )
        load = await run_job(self.module, asdict(job), seconds=seconds)
        return load_sample(load, callers=self.callers)


async def nostro_and_hordak(site: Site) -> list[PeerVariant]:
    """Set the peers up, each with a database of its own on the same server.

    Raises RunFailed when they are not installed, which `make bench` sees to.
    """
    peers = [
        ("nostro", "hf-nostro 0.2, AsyncLedger", site.callers),
        ("hordak", "django-hordak 2.0, models", _THREADS),
    ]
    made = []
    for module, name, callers in peers:
        library = "nostro" if module == "nostro" else "hordak"
        if importlib.util.find_spec(library) is None:
            raise RunFailed(f"{library} is not installed: make bench installs it")
        await site.world.servers.database_url(module)
        url = site.world.admin_url(module)
        job = PeerJob(url=url, kind="earn", run="fill", members=_MEMBERS, setting_up=True)
        await run_job(f"bench.peers.{module}", asdict(job), seconds=_SET_UP_S)
        made += [
            PeerVariant(
                name=name,
                module=f"bench.peers.{module}",
                kind=kind,
                url=url,
                callers=callers,
                postgres_pid=site.world.postgres_pid,
            )
            for kind in ("earn", "redeem")
        ]
    return made
