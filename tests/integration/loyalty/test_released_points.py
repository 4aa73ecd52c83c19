"""Points that come back to a member who owes, or whose other points have paid what was owed."""

from datetime import timedelta

import pytest

from services.loyalty.jobs import JOBS
from shared.jobs import run_due
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.members_world import reserve
from tests.integration.loyalty.moves import NOTHING, give, held, release
from tests.integration.loyalty.people import complete, enrol, place, points_of, redeem, refund
from tests.support.service import Starter


@pytest.mark.parametrize("by_checkout", [True, False])
async def test_the_lots_used_last_repay_first_wherever_the_points_were_held(
    start: Starter, by_checkout: bool
) -> None:
    loyalty = await start("loyalty")
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=7))
    await redeem(loyalty, member_id, points=100)
    for _ in range(2):
        await give(loyalty, member_id, 100)
        loyalty.clock.advance(timedelta(days=31))
    if by_checkout:
        reservation = await reserve(loyalty, member_id, points=200)
    else:
        redemption_id = await held(loyalty, member_id, 200)
    await refund(loyalty, order_id, amount_fen=10_000)
    assert await points_of(loyalty, member_id) == {**NOTHING, "held": 200, "debt": 100}

    if by_checkout:
        await loyalty.call("release_reservation", reservation_id=reservation)
    else:
        await release(loyalty, redemption_id)

    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 100}
    lots = await loyalty.rows("select remaining from point_lots order by expires_at, created_at")
    assert [lot.remaining for lot in lots] == [0, 100, 0]
    await audit(loyalty)


async def test_an_order_is_cancelled_whose_own_points_have_all_paid_older_debt(
    start: Starter,
) -> None:
    loyalty = await start("loyalty")
    member_id = await enrol(loyalty)
    older = await place(loyalty, member_id, paid_fen=10_000)
    await complete(loyalty, older)
    loyalty.clock.advance(timedelta(days=7))
    await give(loyalty, member_id, 200)
    await redeem(loyalty, member_id, points=100)
    reservation = await reserve(loyalty, member_id, points=200)
    order_id = await place(loyalty, member_id, paid_fen=10_000, reservation_id=reservation)
    await refund(loyalty, older, amount_fen=10_000)
    await complete(loyalty, order_id)
    loyalty.clock.advance(timedelta(days=7))
    release_due_lots = next(job for job in JOBS if job.name == "release_due_lots")
    await run_due(release_due_lots, database=loyalty.database)
    assert await points_of(loyalty, member_id) == NOTHING

    await refund(loyalty, order_id, amount_fen=10_000)
    assert await points_of(loyalty, member_id) == {**NOTHING, "available": 100}
    await audit(loyalty)
