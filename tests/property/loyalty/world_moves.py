"""What may happen in a world: each move takes small numbers, so that anything can choose them.

A number picks one of what there is (`pick`, modulo how many there are) or how much of it (`share`,
in quarters: five asks for more than there is).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from tests.property.loyalty.world import World

T = TypeVar("T")

#: The last of the picks of a member.
ANY: Final = 7


@dataclass(frozen=True)
class Move:
    """Something that may happen: what its numbers may be, and when there is something to do."""

    do: Callable[..., Awaitable[None]]
    numbers: dict[str, int]
    possible: Callable[[World], bool]
    #: How often it happens, beside the others.
    weight: int


MOVES: Final[dict[str, Move]] = {}


def move(
    possible: Callable[[World], Any] = lambda _world: True, *, weight: int = 1, **numbers: int
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    """Let this happen, with numbers from 0 up to those given."""

    def known(do: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        MOVES[do.__name__] = Move(do, numbers, lambda world: bool(possible(world)), weight)
        return do

    return known


def redemptions(world: World, *, checkout: bool = False) -> list[Any]:
    """All that were spent or held, with their names, or reserved at checkout; of who is there."""
    for name, one in world.books.redemptions.items():
        one.name = name
    return [one for name, one in world.books.redemptions.items()
            if name.startswith("rsv_") is checkout
            and world.books.members[one.who].state != "erased"]  # fmt: skip


def chosen(things: list[T], pick: int) -> T:
    """One of what there is; the last for 0."""
    return things[-1 - pick % len(things)]


def person(world: World, who: int) -> str:
    """A member; by the last pick, one who may be merged or erased by now."""
    active = [one for one in world.people if world.books.members[one].state == "active"]
    return chosen(world.people if who == ANY or not active else active, who)


def other(world: World, who: str, pick: int) -> str:
    """Another member than that one; by the last pick, that one."""
    others = [one for one in world.people if one != who]
    return who if pick == ANY else chosen(others, pick)


def part_of(points: int, share: int) -> int:
    """So many quarters of points, one at least."""
    return max(1, points * share // 4)


@move(weight=3, who=ANY, share=8)
async def redeem(world: World, who: int, share: int) -> None:
    """Points are spent at once; mostly all, since who has none left may come to owe."""
    member = person(world, who)
    quarters = share if share < 4 else 5 - (share < 8)
    points = part_of(world.books.members[member].points(are_open=True), quarters)
    given = {"points": points, "purpose": "checkout", "reference": "SO-9"}
    await world.ask(
        "redeem_points", lambda body: world.books.redeem(member, points, body.get("id", "")),
        member_id=member, json=given, people=[member],
    )  # fmt: skip


@move(weight=2, who=ANY, share=5, about=2, minutes=2)
async def hold(world: World, who: int, share: int, about: int, minutes: int) -> None:
    """Points are held for a while."""
    member, reference = person(world, who), f"G-{about}"
    points = part_of(world.books.members[member].points(are_open=True), share)
    lasting = (5, 15, 3_000)[minutes]
    until = world.now() + timedelta(minutes=lasting)
    given = {"points": points, "purpose": "gift", "reference": reference, "minutes": lasting}
    await world.ask(
        "hold_points",
        lambda body: world.books.hold(member, points, reference, until, body.get("id", "")),
        member_id=member, json=given, people=[member],
    )  # fmt: skip


@move(redemptions, pick=5, share=5)
async def capture(world: World, pick: int, share: int) -> None:
    """Held points are spent: some, all (0 says so without a number), or more than there are."""
    one = chosen([r for r in redemptions(world) if r.until] or redemptions(world), pick)
    points = part_of(one.points, share) if share else None
    await world.ask(
        "capture_hold", lambda _: world.books.capture(one.name, points), redemption_id=one.name,
        json=None if points is None else {"points": points}, people=[one.who],
    )  # fmt: skip


@move(lambda world: redemptions(world, checkout=True), pick=3)
async def leave(world: World, pick: int) -> None:
    """A checkout is left, or left again, or too late."""
    one = chosen(redemptions(world, checkout=True), pick)
    await world.ask(
        "release_reservation", lambda _: world.books.release(one.name), reservation_id=one.name,
        people=[one.who],
    )  # fmt: skip


@move(redemptions, weight=2, pick=5)
async def release(world: World, pick: int) -> None:
    """Held points go back."""
    one = chosen(redemptions(world), pick)
    await world.ask(
        "release_hold", lambda _: world.books.release(one.name), redemption_id=one.name,
        people=[one.who],
    )  # fmt: skip


@move(redemptions, weight=2, pick=5)
async def give_back(world: World, pick: int) -> None:
    """Spent points go back."""
    one = chosen(redemptions(world), pick)
    await world.ask(
        "cancel_redemption", lambda _: world.books.give_back(one.name), redemption_id=one.name,
        people=[one.who],
    )  # fmt: skip
