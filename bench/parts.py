"""What a part of the bench is, and the ways of doing things that parts are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.requests import Kind, Spread
from bench.site import Site
from bench.variants import HttpVariant, RawVariant, Variant
from services.loyalty.store import wallet as wallet_store

OPERATIONS: Final[dict[Kind, str]] = {
    "earn": "record_order",
    "redeem": "redeem_points",
    "refund": "refund_order",
    "wallet": "show_wallet",
}
#: The numbers of clients among which the raw limit is sought.
CLIENTS: Final = (8, 16, 32)

_DRAW: Final = "\\set member random(1, :members)\n"
_HOT: Final = "\\set member 0\n"
_MEMBER: Final = "'mem_' || lpad((:member)::bigint::text, 26, '0')"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Variants that are measured in turn. The first one is what the others are held against."""

    name: str
    title: str
    variants: Sequence[Variant]
    #: Whether a short run more counts statements and write transactions.
    counted: bool = True


def script(what: str, *, spread: Spread = "spread") -> str:
    """A pgbench script: a write, `account` (one row) or `wallet` (our own query)."""
    draw = _DRAW if spread == "spread" else _HOT
    if what in ("earn", "redeem", "refund"):
        return f"{draw}select bench_{what}(:member);\n"
    if what == "account":
        return f"{draw}select * from accounts where member_id = {_MEMBER};\n"  # noqa: S608
    query = wallet_store._WALLET.replace("$2", "now()").replace("$1", f"array[{_MEMBER}]")
    return f"{draw}{' '.join(query.split())};\n"


def raw(
    site: Site,
    what: str,
    *,
    spread: Spread = "spread",
    clients: Sequence[int] = CLIENTS,
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
    callers: int | None = None,
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
        callers=callers or site.callers,
        watched={"service": site.loyalty.pid, "postgres": site.world.postgres_pid},
        spread=spread,
    )


def through_gateway(
    site: Site,
    kind: Kind,
    *,
    callers: int | None = None,
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
        callers=callers or site.callers,
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
        callers=site.callers,
        watched={"service": site.orm.pid, "postgres": site.world.postgres_pid},
        spread=spread,
    )
