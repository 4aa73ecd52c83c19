"""As time passes in a world: with the jobs at every moment, late, or without them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from tests.property.loyalty.world import World, run_clock
from tests.property.loyalty.world_moves import move
from tests.support.service import ServiceUnderTest

#: In minutes.
_SHORT: Final = (1, 14, 60, 5 * 60)
_DAYS: Final = (1, 7, 17, 31, 120, 350)
#: Those that move the clock, which all worlds of a service share.
CLOCK_MOVES: Final = ("wait", "sleep", "live_on", "come_back")


@move(weight=2, span=len(_SHORT) - 1)
async def wait(world: World, span: int) -> None:
    """Some time passes, and no job comes by."""
    world.loyalty.clock.advance(timedelta(minutes=_SHORT[span]))


@move(weight=2)
async def sleep(world: World) -> None:
    """Until one at night: by then it is another business day, but not another day of UTC."""
    now = world.now()
    at = now.replace(hour=17, minute=0, second=0, microsecond=0)
    world.loyalty.clock.advance(at - now if at > now else at - now + timedelta(days=1))


@move(weight=2, days=len(_DAYS) - 1)
async def live_on(world: World, days: int) -> None:
    """Days pass; whenever something falls due, it is done."""
    await visit(world.loyalty, [world], until=world.now() + timedelta(days=_DAYS[days]))


@move(days=len(_DAYS) - 1)
async def come_back(world: World, days: int) -> None:
    """Days pass while the jobs stand still; then all that has become due is done at once."""
    world.loyalty.clock.advance(timedelta(days=_DAYS[days]))
    await visit(world.loyalty, [world], until=world.now())


async def visit(loyalty: ServiceUnderTest, worlds: Sequence[World], *, until: datetime) -> None:
    """Move the clock to a moment, by way of all at which something falls due."""
    for world in worlds:
        world.books.now = loyalty.clock.now()
    while True:
        at = min([world.books.next_moment() for world in worlds] + [until])
        loyalty.clock.at = at
        await run_clock(loyalty)
        for world in worlds:
            await world.do_jobs(at)
        if at >= until:
            return
