"""A filled loyalty database, copies of it for the others, and the product serving it."""

from dataclasses import dataclass

from bench.fill import fill, install_raw
from bench.world import LOYALTY, Server, World
from deploy.local.ports import free_port
from deploy.local.programs import GATEWAY, Program
from deploy.local.settings import inherited_environment


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where each variant finds its database or its server."""

    world: World
    members: int
    #: How many requests are in flight at once, unless a part says otherwise.
    callers: int
    raw_url: str
    loyalty: Server
    gateway: Server
    orm: Server
    #: A manager key of the gateway.
    key: str


async def set_up(world: World, *, members: int, callers: int, loyalty_url: str) -> Site:
    """Copy the filled database for the raw limit, and serve it. Raises CannotRun."""
    name = loyalty_url.rpartition("/")[2]
    raw_url = await world.copy(f"{name}_raw", of=name)
    orm_url = await world.copy(f"{name}_orm", of=name)
    await install_raw(raw_url)
    loyalty = await world.serve(LOYALTY, database_url=loyalty_url)
    gateway_url = await world.migrated(GATEWAY, database="gateway")
    gateway = await world.serve(GATEWAY, database_url=gateway_url)
    key = await world.first_key(database_url=gateway_url)
    return Site(
        world=world,
        members=members,
        callers=callers,
        raw_url=raw_url,
        loyalty=loyalty,
        gateway=gateway,
        orm=await _plain_orm(world, database_url=orm_url),
        key=key,
    )


async def _plain_orm(world: World, *, database_url: str) -> Server:
    """The plain version, served with the same server and the same options as ours."""
    program = Program(name="plain_orm", package="bench.plain_orm")
    port = free_port()
    return await world.start(
        program.name,
        command=program.serve(host="127.0.0.1", port=port),
        environment={**inherited_environment(), "BENCH_DATABASE_URL": database_url},
        port=port,
    )


async def filled(world: World, *, members: int, database: str) -> str:
    """A migrated loyalty database with so many members in it, by its address."""
    url = await world.migrated(LOYALTY, database=database)
    await fill(world.admin_url(database), first=1, last=members)
    return url
