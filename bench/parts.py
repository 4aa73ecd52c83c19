"""The parts of the bench: what is compared with what."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.requests import Kind, Spread
from bench.site import Site
from bench.variants import HttpVariant, RawVariant, Variant
from services.loyalty.store import wallet as wallet_store

OPERATIONS: Final[dict[Kind, str]] = {
    "earn": "record_order",
    "redeem": "redeem_points",
    "wallet": "show_wallet",
}
_CLIENTS: Final = (8, 16, 32)
CALLERS: Final = 64

_DRAW: Final = "\\set member random(1, :members)\n"
_HOT: Final = "\\set member 0\n"
_MEMBER: Final = "'mem_' || lpad((:member)::bigint::text, 26, '0')"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Variants that are measured in turn. The first one is what the others are held against."""

    name: str
    title: str
    variants: Sequence[Variant]


def script(what: str, *, spread: Spread = "spread") -> str:
    """A pgbench script: `earn`, `redeem`, `account` (one row) or `wallet` (our own query)."""
    draw = _DRAW if spread == "spread" else _HOT
    if what in ("earn", "redeem"):
        return f"{draw}select bench_{what}(:member);\n"
    if what == "account":
        return f"{draw}select * from accounts where member_id = {_MEMBER};\n"  # noqa: S608
    query = str(wallet_store._WALLET).replace(":now", "now()").replace(":member_id", _MEMBER)
    return f"{draw}{' '.join(query.split())};\n"


def earn(site: Site) -> Part:
    """One paid order per request, members drawn at random."""
    return _write(site, "earn", title="earn: POST /v1/orders")


def redeem(site: Site) -> Part:
    """One redemption per request, members drawn at random."""
    return _write(site, "redeem", title="redeem: POST /v1/members/{id}/points/redemptions")


def wallet(site: Site) -> Part:
    """One wallet per request."""
    return Part(
        name="wallet",
        title="wallet: GET /v1/members/{id}/wallet",
        variants=[
            raw(site, "wallet", name="raw: pgbench, the wallet's own query"),
            raw(site, "account", name="pgbench, the account's row alone"),
            direct(site, "wallet"),
            through_gateway(site, "wallet"),
        ],
    )


def hot(site: Site) -> Part:
    """Everybody at one member."""
    return Part(
        name="hot",
        title="hot: 64 callers earn for one member",
        variants=[
            raw(site, "earn", spread="hot"),
            direct(site, "earn", spread="hot"),
            through_gateway(site, "earn", spread="hot"),
            plain_orm(site, "earn", spread="hot"),
        ],
    )


def single(site: Site) -> Part:
    """Latency: one caller."""
    return few(site, callers=1)


def few(site: Site, *, callers: int) -> Part:
    """What a write takes when few are there."""
    return Part(
        name="single",
        title=f"single: earn and redeem with {callers} caller{'s' if callers > 1 else ''}",
        variants=[
            raw(site, "earn", clients=(callers,), name="raw: pgbench, earn"),
            direct(site, "earn", callers=callers, name="ours, at loyalty's own door, earn"),
            through_gateway(site, "earn", callers=callers, name="ours, through the gateway, earn"),
            raw(site, "redeem", clients=(callers,), name="pgbench, redeem"),
            direct(site, "redeem", callers=callers, name="ours, at loyalty's own door, redeem"),
        ],
    )


def raw(
    site: Site,
    what: str,
    *,
    spread: Spread = "spread",
    clients: Sequence[int] = _CLIENTS,
    name: str = "raw: pgbench, one function per transaction",
) -> RawVariant:
    """The raw limit."""
    return RawVariant(
        name=name,
        url=site.raw_url,
        script=script(what, spread=spread),
        members=site.members,
        clients=clients,
        postgres_pid=site.world.postgres_pid,
    )


def direct(
    site: Site,
    kind: Kind,
    *,
    callers: int = CALLERS,
    spread: Spread = "spread",
    name: str = "ours, at loyalty's own door",
) -> HttpVariant:
    """Loyalty as the gateway calls it."""
    return HttpVariant(
        name=name,
        kind=kind,
        port=site.loyalty.port,
        authorization=lambda: f"Bearer {site.world.token(operation=OPERATIONS[kind])}",
        members=site.members,
        callers=callers,
        watched={"service": site.loyalty.pid, "postgres": site.world.postgres_pid},
        spread=spread,
    )


def through_gateway(
    site: Site,
    kind: Kind,
    *,
    callers: int = CALLERS,
    spread: Spread = "spread",
    name: str = "ours, through the gateway",
) -> HttpVariant:
    """The product as a shop calls it."""
    return HttpVariant(
        name=name,
        kind=kind,
        port=site.gateway.port,
        authorization=lambda: f"Bearer {site.key}",
        members=site.members,
        callers=callers,
        watched={
            "service": site.loyalty.pid,
            "gateway": site.gateway.pid,
            "postgres": site.world.postgres_pid,
        },
        spread=spread,
    )


def plain_orm(site: Site, kind: Kind, *, spread: Spread = "spread") -> HttpVariant:
    """The same work as tutorials write it."""
    return HttpVariant(
        name="plain FastAPI and ORM",
        kind=kind,
        port=site.orm.port,
        authorization=lambda: "none",
        members=site.members,
        callers=CALLERS,
        watched={"service": site.orm.pid, "postgres": site.world.postgres_pid},
        spread=spread,
    )


def _write(site: Site, kind: Kind, *, title: str) -> Part:
    return Part(
        name=kind,
        title=title,
        variants=[
            raw(site, kind),
            direct(site, kind),
            through_gateway(site, kind),
            plain_orm(site, kind),
        ],
    )


PARTS: Final[dict[str, Callable[[Site], Part]]] = {
    "earn": earn,
    "redeem": redeem,
    "wallet": wallet,
    "hot": hot,
    "single": single,
}
