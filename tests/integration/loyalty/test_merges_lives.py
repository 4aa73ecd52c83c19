"""Random lives of three members who are merged and parted, audited all the way."""

from random import Random
from typing import Any

import pytest

from services.loyalty.domain.programme import earned_points
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.members_world import HOLD, merged, parted, reserve
from tests.integration.loyalty.people import complete, enrol, place, points_of, redeem, refund
from tests.support.service import ServiceUnderTest, Starter

_ORDERS = """
    select order_id, member_id, paid_fen, refunded_fen, multiplier_percent, earned_points,
      clawed_back_points, completed_at from orders order by order_id
"""
_CONSERVED = """
    select coalesce(sum(case when credit_account = 'transferred' then points
      when debit_account = 'transferred' then -points else 0 end), 0)::bigint from point_entries
"""
_TOTAL = "select coalesce(sum(available + pending + held - debt), 0)::bigint from accounts"
_OUTSIDE = """
    select coalesce(sum(case when debit_account in ('issued', 'redeemed', 'clawed_back')
      then points when credit_account in ('issued', 'redeemed', 'clawed_back') then -points
      else 0 end), 0)::bigint from point_entries
"""


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


class Life:
    """What happens, drawn from one seed."""

    def __init__(self, loyalty: ServiceUnderTest, seed: int) -> None:
        self.loyalty = loyalty
        self.random = Random(seed)
        self.members: list[str] = []
        self.merges: list[str] = []
        self.reservations: list[str] = []

    async def begin(self) -> None:
        self.members = [await enrol(self.loyalty) for _ in range(3)]
        for member_id in self.members:
            await complete(self.loyalty, await place(self.loyalty, member_id, paid_fen=60_000))
        self.loyalty.clock.advance(HOLD)

    async def step(self) -> None:
        happens = self.random.choice(
            [self.order, self.order, self.complete, self.spend, self.spend, self.refund,
             self.refund, self.hold, self.release, self.wait, self.merge, self.part]
        )  # fmt: skip
        await happens()

    async def living(self) -> str:
        rows = await self.loyalty.rows("select id from members where state = 'active' order by id")
        return str(self.random.choice(rows).id)

    async def order(self) -> None:
        fen = self.random.randrange(1_000, 90_000)
        await place(self.loyalty, await self.living(), paid_fen=fen)

    async def complete(self) -> None:
        waiting = [one for one in await self.orders() if one.completed_at is None
                   and one.refunded_fen < one.paid_fen]  # fmt: skip
        if waiting:
            await complete(self.loyalty, self.random.choice(waiting).order_id)

    async def spend(self) -> None:
        member_id = await self.living()
        available = (await points_of(self.loyalty, member_id))["available"]
        if available:
            points = self.random.choice([available, self.random.randint(1, available)])
            assert (await redeem(self.loyalty, member_id, points=points)).status_code == 201

    async def refund(self) -> None:
        left = [one for one in await self.orders() if one.refunded_fen < one.paid_fen]
        if left:
            one = self.random.choice(left)
            most = one.paid_fen - one.refunded_fen
            amount = self.random.choice([most, self.random.randint(1, most)])
            await refund(self.loyalty, one.order_id, amount_fen=amount)

    async def hold(self) -> None:
        member_id = await self.living()
        if (await points_of(self.loyalty, member_id))["available"] >= 150:
            self.reservations.append(await reserve(self.loyalty, member_id, points=150))

    async def release(self) -> None:
        if self.reservations:
            reservation = self.reservations.pop(self.random.randrange(len(self.reservations)))
            reply = await self.loyalty.call("release_reservation", reservation_id=reservation)
            assert reply.status_code == 204, reply.text

    async def wait(self) -> None:
        self.loyalty.clock.advance(HOLD)

    async def merge(self) -> None:
        target, source = self.random.sample(self.members, 2)
        reply = await merged(self.loyalty, target, source)
        assert reply.status_code in (201, 409), reply.text
        if reply.status_code == 201:
            self.merges.append(reply.json()["id"])

    async def part(self) -> None:
        if self.merges:
            reply = await parted(self.loyalty, self.random.choice(self.merges))
            assert reply.status_code in (200, 409), reply.text

    async def orders(self) -> list[Any]:
        return await self.loyalty.rows(_ORDERS)

    async def check(self) -> None:
        await audit(self.loyalty)
        assert await self.loyalty.scalar(_CONSERVED) == 0
        assert await self.loyalty.scalar(_TOTAL) == await self.loyalty.scalar(_OUTSIDE)
        for one in await self.orders():
            kept = earned_points(
                paid_fen=one.paid_fen - one.refunded_fen, points_per_yuan=1,
                multiplier_percent=one.multiplier_percent,
            )  # fmt: skip
            assert one.earned_points - one.clawed_back_points == kept
        merged_with_something = await self.loyalty.rows(
            "select id from members join accounts on member_id = id where state = 'merged'"
            " and (available + pending + held + debt > 0 or exists"
            " (select from orders where orders.member_id = members.id) or exists"
            " (select from identities where identities.member_id = members.id))"
        )
        assert merged_with_something == []
        growth = await self.loyalty.rows(
            "select a.member_id from accounts a where growth <> (select"
            " coalesce(sum(growth), 0) from growth_entries g where g.member_id = a.member_id)"
        )
        assert growth == []


@pytest.mark.parametrize("seed", range(6))
async def test_however_members_live_merge_and_part_the_books_agree(
    loyalty: ServiceUnderTest, seed: int
) -> None:
    life = Life(loyalty, seed)
    await life.begin()
    for _ in range(35):
        await life.step()
        await life.check()
    assert life.merges, "a life without a merge proves nothing"
