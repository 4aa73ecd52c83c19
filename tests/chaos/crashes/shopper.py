"""The load: shoppers who join, buy, return, spend, hold and give away, all on the same members."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.chaos.crashes.caller import Caller
from tests.chaos.crashes.journal import Asked

#: What one member starts with, in points; the load spends and earns around it.
STARTING_POINTS: Final = 2_000
#: How often more is asked for than anybody has: a refusal is a promise, too.
_TOO_MUCH: Final = 0.05
#: Longer ago than the hold of seven days, so that points can be spent at once.
_LONG_AGO: Final = timedelta(days=20)
#: Whoever reports that an order was received reports the same, or they would contradict each other.
_RECEIVED: Final = (datetime.now(UTC) - _LONG_AGO).isoformat()


@dataclass(kw_only=True)
class Town:
    """Who and what the shoppers share: members are met by several of them at once."""

    members: list[str] = field(default_factory=list)
    orders: list[Asked] = field(default_factory=list)
    redemptions: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Shopper:
    """Does one thing after another until told to stop."""

    caller: Caller
    town: Town

    async def begin(self, *, members: int) -> None:
        """Bring some members to town, each with points to spend."""
        for _ in range(members):
            await self._enrol()

    async def go_on(self, *, until: asyncio.Event) -> None:
        """Shop until it is time to stop; what was begun is brought to its end."""
        actions, weights = zip(*self._actions(), strict=True)
        while not until.is_set():
            [action] = random.choices(actions, weights)
            await action()

    def _actions(self) -> Sequence[tuple[Callable[[], Awaitable[None]], int]]:
        return [
            (self._enrol, 2),
            (self._buy, 26),
            (self._return, 10),
            (self._receive, 12),
            (self._call_off, 4),
            (self._redeem, 22),
            (self._hold, 10),
            (self._end_hold, 10),
            (self._restore, 4),
            (self._give, 6),
        ]

    async def _enrol(self) -> None:
        id = self.caller.journal.fresh("enrol")
        body = {"identities": [{"kind": "external", "value": id}], "nickname": id}
        asked = await self.caller.ask("enrol", "/v1/members", body, id=id)
        if not asked.done:
            return
        member_id = asked.told["id"]
        order = await self._order(member_id, paid_fen=STARTING_POINTS * 100)
        if order.done:
            await self._complete(order)
            self.town.members.append(member_id)

    async def _buy(self) -> None:
        """Buy; sometimes what becomes of the order is reported before the order itself."""
        order_id = self.caller.journal.fresh("order")
        paid_fen = random.randint(1_000, 90_000)
        early = random.random()
        if early < 0.15:
            await self._refund(order_id, amount_fen=random.randint(1, paid_fen))
        elif early < 0.2:
            await self._cancel(order_id)
        elif early < 0.3:
            await self._complete_id(order_id)
        await self._order(random.choice(self.town.members), paid_fen=paid_fen, id=order_id)

    async def _order(self, member_id: str, *, paid_fen: int, id: str | None = None) -> Asked:
        id = id or self.caller.journal.fresh("order")
        body = {
            "order_id": id,
            "member_id": member_id,
            "paid_fen": paid_fen,
            "items": [{"sku": "TEA-250", "quantity": 1, "paid_fen": paid_fen}],
            "paid_at": _moment(before=_LONG_AGO),
        }
        asked = await self.caller.ask("order", "/v1/orders", body, id=id)
        if asked.done:
            self.town.orders.append(asked)
        return asked

    async def _return(self) -> None:
        order = random.choice(self.town.orders)
        await self._refund(order.id, amount_fen=random.randint(1, order.body["paid_fen"]))

    async def _refund(self, order_id: str, *, amount_fen: int) -> None:
        id = self.caller.journal.fresh("refund")
        body = {"refund_id": id, "amount_fen": amount_fen, "refunded_at": _moment()}
        await self.caller.ask("refund", f"/v1/orders/{order_id}/refunds", body, id=id)

    async def _receive(self) -> None:
        await self._complete(random.choice(self.town.orders))

    async def _complete(self, order: Asked) -> None:
        await self._complete_id(order.id)

    async def _complete_id(self, order_id: str) -> None:
        body = {"completed_at": _RECEIVED}
        await self.caller.ask("completion", f"/v1/orders/{order_id}/completion", body)

    async def _call_off(self) -> None:
        await self._cancel(random.choice(self.town.orders).id)

    async def _cancel(self, order_id: str) -> None:
        # The same order may be called off by several: with the same facts, so that they agree.
        body = {"cancelled_at": "2026-11-20T12:00:00+08:00", "reason": "缺货"}
        await self.caller.ask("cancellation", f"/v1/orders/{order_id}/cancellation", body)

    async def _redeem(self) -> None:
        asked = await self._spend("redeem", "redemptions")
        if asked.done:
            self.town.redemptions.append(asked.told["id"])

    async def _hold(self) -> None:
        asked = await self._spend("hold", "holds")
        if asked.done:
            self.town.holds.append(asked.told["id"])

    async def _spend(self, kind: Any, noun: str) -> Asked:
        id = self.caller.journal.fresh(kind)
        points = random.randint(1, 150) if random.random() > _TOO_MUCH else 9_999_999
        body = {"points": points, "purpose": "crash", "reference": id}
        path = f"/v1/members/{random.choice(self.town.members)}/points/{noun}"
        asked: Asked = await self.caller.ask(kind, path, body, id=id)
        return asked

    async def _end_hold(self) -> None:
        """Capture or release a hold; two may be at the same one, and one of them is refused."""
        if not self.town.holds:
            return
        hold_id = random.choice(self.town.holds[-20:])
        if random.random() < 0.6:
            await self.caller.ask("capture", f"/v1/points/redemptions/{hold_id}/capture", {})
        else:
            await self.caller.ask("release", f"/v1/points/redemptions/{hold_id}/release", {})
        if hold_id in self.town.holds:
            self.town.holds.remove(hold_id)

    async def _restore(self) -> None:
        if self.town.redemptions:
            spent = random.choice(self.town.redemptions)
            await self.caller.ask("restore", f"/v1/points/redemptions/{spent}/cancellation", {})

    async def _give(self) -> None:
        giver, taker = random.sample(self.town.members, 2)
        id = self.caller.journal.fresh("transfer")
        body = {"to_member_id": taker, "points": random.randint(1, 50), "reason": id}
        await self.caller.ask("transfer", f"/v1/members/{giver}/points/transfers", body, id=id)


def _moment(*, before: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) - before).isoformat()
