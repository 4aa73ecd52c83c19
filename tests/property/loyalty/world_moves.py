"""What may happen in a world: each move takes small numbers, so that anything can choose them.

A number picks one of what there is (`pick`, modulo how many there are) or how much of it (`share`,
in quarters: five asks for more than there is).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from shared.kernel.clock import rfc3339
from tests.property.loyalty.world import World

T = TypeVar("T")

#: The last of the picks of a member, and of an order.
_ANY: Final = 7
_NEW: Final = 9


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
    return chosen(world.people if who == _ANY or not active else active, who)


def other(world: World, who: str, pick: int) -> str:
    """Another member than that one; by the last pick, that one."""
    others = [one for one in world.people if one != who]
    return who if pick == _ANY else chosen(others, pick)


def part_of(points: int, share: int) -> int:
    """So many quarters of points, one at least."""
    return max(1, points * share // 4)


@move(weight=3, who=_ANY, fen=60_000, pick=3, reserved=3)
async def place(world: World, who: int, fen: int, pick: int, reserved: int) -> None:
    """An order is paid; one that was told of before, if there is such; at times with points.

    They may be reserved by somebody else, or no longer.
    """
    mine = redemptions(world, checkout=True) if reserved == 1 else []
    reservation = chosen(mine, pick).name if mine else None
    await _place(world, person(world, who), fen, is_early=pick > 0, reservation=reservation)


@move(weight=3, who=_ANY, share=4, fen=60_000, pick=3)
async def check_out(world: World, who: int, share: int, fen: int, pick: int) -> None:
    """Points are reserved and pay a part of an order."""
    member = person(world, who)
    points = part_of(world.books.members[member].points(are_open=True), share)
    reserved = await _reserve(world, member, points, fen=100_000)
    if "payable_fen" in reserved:
        await _place(world, member, fen, is_early=pick > 0, reservation=reserved["id"])


@move(who=_ANY, share=5, fen=5)
async def reserve(world: World, who: int, share: int, fen: int) -> None:
    """Points are to pay a part of an order, at times more than it costs."""
    member = person(world, who)
    points = part_of(world.books.members[member].points(are_open=True), share)
    await _reserve(world, member, points, fen=10 ** (5 - fen // 2))


async def _reserve(world: World, member: str, points: int, *, fen: int) -> dict[str, Any]:
    item = {"sku": "SERUM-30ML", "quantity": 1, "amount_fen": fen}
    return await world.ask(
        "reserve_checkout",
        lambda body: world.books.reserve(member, points, fen, body.get("id", "")),
        json={"member_id": member, "items": [item], "points": points}, people=[member],
    )  # fmt: skip


async def _place(
    world: World, member: str, fen: int, *, is_early: bool, reservation: str | None
) -> None:
    early = [one for one in world.orders
             if one in world.books.told and one not in world.books.orders]  # fmt: skip
    order_id = early[0] if early and is_early else world.new_name("SO")
    if order_id not in world.orders:
        world.orders.append(order_id)
    given = {
        "order_id": order_id, "member_id": member, "paid_fen": fen, "paid_at": rfc3339(world.now()),
        "items": [{"sku": "SERUM-30ML", "quantity": 1, "paid_fen": fen}],
    }  # fmt: skip
    if reservation is not None:
        given["reservation_id"] = reservation
    await world.ask(
        "record_order", lambda _: world.books.order(member, order_id, fen, reservation),
        json=given, people=[member],
    )  # fmt: skip


def order_of(world: World, pick: int) -> str:
    """An order, or for the last pick one that nobody has told of yet."""
    alive = [one for one in world.orders if not _is_erased(world, one)]
    if pick == _NEW or not alive:
        world.orders.append(world.new_name("SO"))
        return world.orders[-1]
    return chosen(alive, pick)


def _is_erased(world: World, order_id: str) -> bool:
    order = world.books.orders.get(order_id)
    return order is not None and world.books.members[order.who].state == "erased"


def _owner(world: World, order_id: str) -> list[str]:
    order = world.books.orders.get(order_id)
    return [] if order is None else [order.who]


@move(weight=2, pick=_NEW, days=9)
async def complete(world: World, pick: int, days: int) -> None:
    """An order was received, up to nine days ago; seldom told once more, and otherwise."""
    order_id = order_of(world, pick)
    waiting = [one for one in world.orders
               if not world.books.facts(one).received and not _is_erased(world, one)]  # fmt: skip
    if pick > 1 and waiting:
        order_id = chosen(waiting, pick)
    at = (world.now() - timedelta(days=days)).replace(microsecond=0)
    await world.ask(
        "complete_order", lambda _: world.books.complete(order_id, at), order_id=order_id,
        json={"completed_at": rfc3339(at)}, people=_owner(world, order_id),
    )  # fmt: skip


@move(weight=4, pick=_NEW, share=5)
async def refund(world: World, pick: int, share: int) -> None:
    """A part of the money of an order goes back, at times more than was paid."""
    order_id, refund_id = order_of(world, pick), world.new_name("RF")
    order = world.books.orders.get(order_id)
    fen = part_of(order.paid - order.back if order else 10_000, share)
    given = {"refund_id": refund_id, "amount_fen": fen, "refunded_at": rfc3339(world.now())}
    await world.ask(
        "refund_order", lambda _: world.books.refund(order_id, refund_id, fen),
        order_id=order_id, json=given, people=_owner(world, order_id),
    )  # fmt: skip


@move(lambda world: any(not one.cancelled for one in world.books.told.values()), pick=_NEW)
async def cancel(world: World, pick: int) -> None:
    """An order is called off."""
    order_id = order_of(world, pick)
    if not world.books.facts(order_id).cancelled:
        given = {"cancelled_at": rfc3339(world.now())}
        await world.ask(
            "cancel_order", lambda _: world.books.cancel(order_id), order_id=order_id,
            json=given, people=_owner(world, order_id),
        )  # fmt: skip


@move(weight=2, who=_ANY, share=5)
async def redeem(world: World, who: int, share: int) -> None:
    """Points are spent at once."""
    member = person(world, who)
    points = part_of(world.books.members[member].points(are_open=True), share)
    given = {"points": points, "purpose": "checkout", "reference": "SO-9"}
    await world.ask(
        "redeem_points", lambda body: world.books.redeem(member, points, body.get("id", "")),
        member_id=member, json=given, people=[member],
    )  # fmt: skip


@move(who=_ANY, share=5, about=2, minutes=2)
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


@move(redemptions, pick=5)
async def release(world: World, pick: int) -> None:
    """Held points go back."""
    one = chosen(redemptions(world), pick)
    await world.ask(
        "release_hold", lambda _: world.books.release(one.name), redemption_id=one.name,
        people=[one.who],
    )  # fmt: skip


@move(redemptions, pick=5)
async def give_back(world: World, pick: int) -> None:
    """Spent points go back."""
    one = chosen(redemptions(world), pick)
    await world.ask(
        "cancel_redemption", lambda _: world.books.give_back(one.name), redemption_id=one.name,
        people=[one.who],
    )  # fmt: skip
