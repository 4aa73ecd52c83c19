"""Whatever three members do with their points, the books agree and every reply is for ever."""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest

from services.loyalty.jobs import JOBS
from shared.jobs import run_due
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.moves import (
    SECOND,
    adjust,
    cancel,
    capture,
    conserved,
    decide,
    hold,
    publish,
    release,
    transfer,
)
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    place,
    points_of,
    redeem,
    refund,
)
from tests.support.service import ServiceUnderTest, Starter

RELEASE_STALE = next(job for job in JOBS if job.name == "release_stale_holds")
Call = Callable[[], Awaitable[httpx.Response]]


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


class Walk:
    """A walk at random; each request is kept, so that it can be sent again."""

    def __init__(self, loyalty: ServiceUnderTest, *, seed: int) -> None:
        self.loyalty = loyalty
        self.random = random.Random(seed)
        self.members: list[str] = []
        self.redemptions: list[str] = []
        self.adjustments: list[str] = []
        self.sent: list[tuple[Call, httpx.Response]] = []

    async def begin(self) -> None:
        for _ in range(3):
            member_id = await enrol(self.loyalty)
            self.members.append(member_id)
            order_id = await place(self.loyalty, member_id, paid_fen=50_000)
            await complete(self.loyalty, order_id)
            self.loyalty.clock.advance(timedelta(days=7))
            if len(self.members) == 1:
                await redeem(self.loyalty, member_id, points=400)
                await refund(self.loyalty, order_id, amount_fen=50_000)
        assert (await points_of(self.loyalty, self.members[0]))["debt"] == 400

    async def step(self) -> None:
        """One request out of all there are, with whatever exists by now."""
        loyalty, key = self.loyalty, f"key-{len(self.sent)}"
        member, other = self.random.sample(self.members, 2)
        points = self.random.randint(1, 300)
        calls: list[Call] = [
            lambda: hold(loyalty, member, points, reference=f"G-{points % 9}", key=key),
            lambda: hold(loyalty, member, points, reference=key, key=key, minutes=3),
            lambda: redeem(loyalty, member, points=points, key=key),
            lambda: transfer(loyalty, member, other, points, key=key),
            lambda: transfer(loyalty, member, other, points, key=key),
            lambda: adjust(loyalty, member, points, key=key),
            lambda: adjust(loyalty, member, -points, key=key),
            lambda: adjust(loyalty, member, points * 40, key=key),
        ]
        if self.redemptions:
            redemption = self.random.choice(self.redemptions)
            part = self.random.choice([None, points, 10])
            calls += [
                lambda: capture(loyalty, redemption, part, key=key),
                lambda: capture(loyalty, redemption, key=key),
                lambda: release(loyalty, redemption, key=key),
                lambda: cancel(loyalty, redemption, key=key),
            ]
        if self.adjustments:
            adjustment = self.random.choice(self.adjustments)
            decision = self.random.choice(["approve", "reject"])
            calls.append(lambda: decide(loyalty, adjustment, decision, principal=SECOND, key=key))
        await self.send(self.random.choice(calls))
        loyalty.clock.advance(timedelta(seconds=self.random.choice([1, 60, 7_200])))

    async def send(self, call: Call) -> None:
        reply = await call()
        assert reply.status_code in (200, 201, 202, 409), reply.text
        self.sent.append((call, reply))
        made = reply.json().get("id")
        if reply.status_code in (201, 202) and made.startswith("rdm_"):
            self.redemptions.append(made)
        if reply.status_code == 202:
            self.adjustments.append(made)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_a_walk_at_random_keeps_the_books_and_every_request_can_be_repeated(
    loyalty: ServiceUnderTest, seed: int
) -> None:
    await publish(loyalty, transfer={"daily_count": 40, "cooling_hours": 3})
    walk = Walk(loyalty, seed=seed)
    await walk.begin()
    for number in range(120):
        await walk.step()
        if number % 20 == 0:
            await run_due(RELEASE_STALE, database=loyalty.database)
            await audit(loyalty)
            await conserved(loyalty)
    replies = [reply.status_code for _, reply in walk.sent]
    assert {200, 201, 409} <= set(replies), "the walk saw something of everything"

    before = await everything(loyalty)
    for call, reply in walk.sent:
        again = await call()
        assert (again.status_code, again.content) == (reply.status_code, reply.content)
        assert again.headers["idempotency-replayed"] == "true"
    assert await everything(loyalty) == before
    await audit(loyalty)
    await conserved(loyalty)
