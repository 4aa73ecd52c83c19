"""Refunds that are overtaken between their reading and their writing, or meet others at a lock."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

import pytest

from services.loyalty.domain.refunds import RefundFacts
from services.loyalty.operations.refund_batches import Refunding, RefundRecordings
from services.loyalty.store.readings import MemberReader
from shared.lanes import Connection
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.orders_world import cancelled, completed, shown
from tests.integration.loyalty.people import complete, enrol, place, points_of, redeem, refund
from tests.integration.loyalty.racing import ACCOUNTS, race, second
from tests.integration.loyalty.ways import go, refund_facts, run_batch
from tests.support.service import ServiceUnderTest, Starter

Act = Callable[[ServiceUnderTest, str], Coroutine[Any, Any, Any]]
NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


class Overtaken(RefundRecordings):
    """Something happens once the first batch has been read, before it is written."""

    def __init__(self, meanwhile: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(MemberReader())
        self._meanwhile: Callable[[], Awaitable[Any]] | None = meanwhile

    async def load(
        self,
        connection: Connection,
        commands: Sequence[RefundFacts],
        *,
        now: datetime,
        careful: bool,
    ) -> Refunding:
        state = await super().load(connection, commands, now=now, careful=careful)
        if self._meanwhile is not None:
            assert not careful
            await self._meanwhile()
            self._meanwhile = None
        return state


async def completing(loyalty: ServiceUnderTest, order_id: str) -> None:
    await completed(loyalty, order_id, at="2026-11-23T12:00:00+08:00")


async def cancelling(loyalty: ServiceUnderTest, order_id: str) -> None:
    await cancelled(loyalty, order_id)


async def refunding(loyalty: ServiceUnderTest, order_id: str) -> None:
    """Another refund of the order, in a transaction of its own."""
    await go(loyalty, "ordinary", [refund_facts(order_id, 3_000)])


async def redeeming(loyalty: ServiceUnderTest, order_id: str) -> None:
    order = await shown(loyalty, order_id)
    assert (await redeem(loyalty, order["member_id"], points=70)).status_code == 201


async def _settled(loyalty: ServiceUnderTest, order_id: str, other: Act) -> None:
    """Both have counted, the refund of 2,000 fen and whatever else was done."""
    order = await shown(loyalty, order_id)
    back: dict[Act, int] = {refunding: 5_000, cancelling: 10_000}
    assert order["refunded_fen"] == back.get(other, 2_000)
    assert (order["completed_at"] is not None) == (other is completing)
    applied = await loyalty.scalar(
        "select sum(applied_fen)::bigint from (select applied_fen from refunds"
        " union all select applied_fen from order_cancellations) as went_back"
    )
    assert applied == order["refunded_fen"]
    assert order["points"]["clawed_back"] == order["refunded_fen"] // 100
    points = await points_of(loyalty, order["member_id"])
    kept = 100 - order["refunded_fen"] // 100
    assert points == {**NOTHING, "available": 100 - 70 * (other is redeeming), "pending": kept}
    await audit(loyalty)


async def _spender_with_an_order(loyalty: ServiceUnderTest) -> str:
    """An order of 10,000 fen whose member has 100 points to spend besides."""
    member_id = await enrol(loyalty)
    earlier = await place(loyalty, member_id, paid_fen=10_000, paid_at="2026-10-01T12:00:00+08:00")
    await completed(loyalty, earlier)
    return await place(loyalty, member_id, paid_fen=10_000, order_id="SO-RACE")


OTHERS = [completing, cancelling, refunding, redeeming]


@pytest.mark.parametrize("other", OTHERS)
async def test_what_happens_between_reading_and_writing_is_never_overwritten(
    loyalty: ServiceUnderTest, other: Act
) -> None:
    order_id = await _spender_with_an_order(loyalty)
    operation = Overtaken(lambda: other(loyalty, order_id))
    await run_batch(loyalty, operation, [refund_facts(order_id, 2_000)])
    if other is cancelling:
        # The cancellation came first, so nothing was left that could go back.
        assert (await loyalty.scalar("select applied_fen from refunds")) == 0
    await _settled(loyalty, order_id, other)


@pytest.mark.parametrize("refund_first", [True, False])
@pytest.mark.parametrize("other", OTHERS)
async def test_a_refund_and_another_change_that_meet_at_the_account_both_count(
    loyalty: ServiceUnderTest, other: Act, refund_first: bool
) -> None:
    order_id = await _spender_with_an_order(loyalty)
    both = [refund(loyalty, order_id, amount_fen=2_000), other(loyalty, order_id)]
    first, later = both if refund_first else reversed(both)
    await race(loyalty, first, second(loyalty, later), at=ACCOUNTS, meeting=2)
    await _settled(loyalty, order_id, other)


async def test_refunds_of_two_orders_of_one_member_in_two_lanes_both_count(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    one, other = [await place(loyalty, member_id, paid_fen=10_000) for _ in range(2)]
    await race(
        loyalty,
        refund(loyalty, one, amount_fen=2_000),
        second(loyalty, refund(loyalty, other, amount_fen=3_000)),
        at=ACCOUNTS,
        meeting=2,
    )
    assert await points_of(loyalty, member_id) == {**NOTHING, "pending": 150}
    await audit(loyalty)


async def test_an_overtaken_batch_leaves_no_refund_out(loyalty: ServiceUnderTest) -> None:
    """Of many members one has moved on: all are decided anew, and all are answered."""
    orders = [await place(loyalty, await enrol(loyalty), paid_fen=10_000) for _ in range(5)]
    operation = Overtaken(lambda: complete(loyalty, orders[2]))
    told = await run_batch(loyalty, operation, [refund_facts(one, 2_000) for one in orders])
    assert told == [told[0]] * 5
    rows = await loyalty.rows("select refunded_fen, completed_at is null as open from orders")
    assert sorted((row.refunded_fen, row.open) for row in rows) == [
        (2_000, False), *[(2_000, True)] * 4,
    ]  # fmt: skip
    await audit(loyalty)


async def test_a_refund_id_recorded_meanwhile_for_another_order_is_refused(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    one, other = [await place(loyalty, member_id, paid_fen=10_000) for _ in range(2)]
    third = await place(loyalty, await enrol(loyalty), paid_fen=10_000)
    taken = refund_facts(third, 1_000, refund_id="RF-1")
    operation = Overtaken(lambda: go(loyalty, "ordinary", [taken]))
    batch = [refund_facts(one, 1_000, refund_id="RF-1"), refund_facts(other, 1_000)]
    refused, served = await run_batch(loyalty, operation, batch)
    assert "already_recorded_differently" in refused
    assert served.startswith("[false,1000")
    rows = await loyalty.rows("select order_id, refunded_fen from orders")
    assert {row.order_id: row.refunded_fen for row in rows} == {one: 0, other: 1_000, third: 1_000}
    await audit(loyalty)
