"""The parts of the bench by name: what is compared with what, set up as it comes."""

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final

from bench.fill import ENTRIES_PER_MEMBER, fill, install_raw
from bench.parts import Part, direct, plain_orm, raw, through_gateway
from bench.peers.variants import nostro_and_hordak
from bench.requests import Kind
from bench.site import Site
from bench.world import LOYALTY
from bench.wrk import wrk

Plan = Callable[[Site, bool], AsyncIterator[Part]]

_TITLES: Final[dict[Kind, str]] = {
    "earn": "earn: POST /v1/orders",
    "redeem": "redeem: POST /v1/members/{id}/points/redemptions",
    "refund": "refund: POST /v1/orders/{id}/refunds",
}
_WRITES: Final[tuple[Kind, Kind]] = ("earn", "redeem")
_GROWTH: Final = (10_000, 100_000, 1_000_000)
_GROWTH_FULL: Final = (*_GROWTH, 10_000_000)


async def earn(site: Site, _full: bool) -> AsyncIterator[Part]:
    """One paid order per request, members drawn at random."""
    yield _write(site, "earn")


async def redeem(site: Site, _full: bool) -> AsyncIterator[Part]:
    """One redemption per request, members drawn at random."""
    yield _write(site, "redeem")


async def refund(site: Site, _full: bool) -> AsyncIterator[Part]:
    """One refund of a part of an order per request, members and their orders drawn at random."""
    yield _write(site, "refund")


async def wallet(site: Site, _full: bool) -> AsyncIterator[Part]:
    """One wallet per request; with wrk on the PATH, the load generator against it as well."""
    yield Part(
        name="wallet",
        title="wallet: GET /v1/members/{id}/wallet",
        variants=[
            raw(site, "wallet", clients=(16,), name="raw: pgbench, the wallet's own query"),
            raw(site, "account", clients=(16,), name="pgbench, the account's row alone"),
            direct(site, "wallet"),
            through_gateway(site, "wallet"),
            *([wrk(site)] if shutil.which("wrk") else []),
        ],
    )


async def hot(site: Site, _full: bool) -> AsyncIterator[Part]:
    """Everybody at one member."""
    yield Part(
        name="hot",
        title=f"hot: {site.callers} callers earn for one member",
        variants=[
            raw(site, "earn", spread="hot", clients=(8, 32)),
            direct(site, "earn", spread="hot"),
            through_gateway(site, "earn", spread="hot"),
            plain_orm(site, "earn", spread="hot"),
        ],
    )


async def single(site: Site, _full: bool) -> AsyncIterator[Part]:
    """What a write takes when few are there."""
    cases: list[tuple[Kind, int]] = [("earn", 1), ("redeem", 1), ("earn", 8)]
    for kind, callers in cases:
        yield Part(
            name="single",
            title=f"{_TITLES[kind]}, {callers} at a time",
            variants=[
                raw(site, kind, clients=(callers,)),
                direct(site, kind, callers=callers),
                through_gateway(site, kind, callers=callers),
            ],
        )


async def peers(site: Site, _full: bool) -> AsyncIterator[Part]:
    """Other libraries, each in its natural way; what differs stands in docs/performance.md."""
    variants = await nostro_and_hordak(site)
    for kind in _WRITES:
        yield Part(
            name="peers",
            title=f"{_TITLES[kind]}, beside other libraries (without HTTP, doing less)",
            variants=[
                raw(site, kind, clients=(16,)),
                direct(site, kind),
                *(variant for variant in variants if variant.kind == kind),
            ],
        )


async def growth(site: Site, full: bool) -> AsyncIterator[Part]:
    """How cost grows with the ledger. Takes loyalty's process over, so it comes last."""
    world = site.world
    url = await world.migrated(LOYALTY, database="growth")
    members = 0
    for entries in _GROWTH_FULL if full else _GROWTH:
        first, members = members + 1, entries // ENTRIES_PER_MEMBER
        await world.stop(LOYALTY.name)
        await fill(world.admin_url("growth"), first=first, last=members)
        raw_url = await world.copy("growth_raw", of="growth")
        await install_raw(raw_url)
        loyalty = await world.serve(LOYALTY, database_url=url)
        grown = replace(site, members=members, raw_url=raw_url, loyalty=loyalty)
        for kind in _WRITES:
            yield Part(
                name="growth",
                title=f"{_TITLES[kind]}, on {entries:,} entries",
                variants=[raw(grown, kind, clients=(16,)), direct(grown, kind)],
                counted=False,
            )


def _write(site: Site, kind: Kind) -> Part:
    return Part(
        name=kind,
        title=_TITLES[kind],
        variants=[
            raw(site, kind),
            direct(site, kind),
            through_gateway(site, kind),
            plain_orm(site, kind),
        ],
    )


#: In the order in which they are measured.
PLANS: Final[dict[str, Plan]] = {
    "earn": earn,
    "redeem": redeem,
    "refund": refund,
    "wallet": wallet,
    "hot": hot,
    "single": single,
    "peers": peers,
    "growth": growth,
}
