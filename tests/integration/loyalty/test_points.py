"""Points through the service's door, on real PostgreSQL."""

from datetime import timedelta

from tests.integration.loyalty.people import (
    complete,
    enrol,
    place,
    points_of,
    redeem,
)
from tests.support.service import Starter


async def test_points_are_pending_until_the_order_is_completed_and_the_hold_is_over(
    start: Starter,
) -> None:
    loyalty = await start("loyalty")
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=25_900)
    assert await points_of(loyalty, member_id) == {
        "available": 0, "pending": 259, "held": 0, "debt": 0,
    }  # fmt: skip
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=7) - timedelta(microseconds=1))
    assert (await points_of(loyalty, member_id))["available"] == 0
    assert (await redeem(loyalty, member_id, points=1)).status_code == 409
    loyalty.clock.advance(timedelta(microseconds=1))
    assert (await points_of(loyalty, member_id))["available"] == 259
    assert (await redeem(loyalty, member_id, points=259)).status_code == 201
    assert await points_of(loyalty, member_id) == {
        "available": 0, "pending": 0, "held": 0, "debt": 0,
    }  # fmt: skip
