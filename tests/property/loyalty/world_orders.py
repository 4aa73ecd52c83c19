"""What may happen in a world: orders are paid, some with points, received, refunded, cancelled."""

from datetime import timedelta
from typing import Any, Final

from shared.kernel.clock import rfc3339
from tests.property.loyalty.world import World
from tests.property.loyalty.world_moves import ANY, chosen, move, part_of, person, redemptions

#: The last of the picks of an order: one that nobody has told of yet.
_NEW: Final = 9
#: How many days ago orders were received; after seven their points are available.
_AGO: Final = (0, 5, 7, 9)


@move(weight=3, who=ANY, fen=60_000, pick=3, reserved=3)
async def place(world: World, who: int, fen: int, pick: int, reserved: int) -> None:
    """An order is paid; one that was told of before, if there is such; at times with points.

    They may be reserved by somebody else, or no longer.
    """
    mine = redemptions(world, checkout=True) if reserved == 1 else []
    reservation = chosen(mine, pick).name if mine else None
    await _place(world, person(world, who), fen, is_early=pick > 0, reservation=reservation)


@move(weight=3, who=ANY, share=4, fen=60_000, pick=3)
async def check_out(world: World, who: int, share: int, fen: int, pick: int) -> None:
    """Points are reserved and pay a part of an order."""
    member = person(world, who)
    points = part_of(world.books.members[member].points(are_open=True), share)
    reserved = await _reserve(world, member, points, fen=100_000)
    if "payable_fen" in reserved:
        await _place(world, member, fen, is_early=pick > 0, reservation=reserved["id"])


@move(who=ANY, share=5, fen=5)
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


@move(weight=3, pick=_NEW, days=len(_AGO) - 1)
async def complete(world: World, pick: int, days: int) -> None:
    """An order was received, up to nine days ago; seldom told once more, and otherwise."""
    order_id = order_of(world, pick)
    waiting = [one for one in world.orders
               if not world.books.facts(one).received and not _is_erased(world, one)]  # fmt: skip
    if pick > 1 and waiting:
        order_id = chosen(waiting, pick)
    at = (world.now() - timedelta(days=_AGO[days])).replace(microsecond=0)
    await world.ask(
        "complete_order", lambda _: world.books.complete(order_id, at), order_id=order_id,
        json={"completed_at": rfc3339(at)}, people=_owner(world, order_id),
    )  # fmt: skip


@move(weight=5, pick=_NEW, share=5)
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


@move(
    lambda world: any(not one.cancelled for one in world.books.told.values()), weight=2, pick=_NEW
)
async def cancel(world: World, pick: int) -> None:
    """An order is called off."""
    order_id = order_of(world, pick)
    if not world.books.facts(order_id).cancelled:
        given = {"cancelled_at": rfc3339(world.now())}
        await world.ask(
            "cancel_order", lambda _: world.books.cancel(order_id), order_id=order_id,
            json=given, people=_owner(world, order_id),
        )  # fmt: skip
