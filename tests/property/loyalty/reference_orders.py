"""Members and their orders in the reference: what is earned, released and taken back."""

from datetime import datetime
from types import SimpleNamespace as Record
from typing import Any

from tests.property.loyalty.reference_lots import DAY, Lot, Member, No, asked, year_on

RATE = 125  # points per 100 yuan


class Orders:
    """Everybody's points. Members, orders and the like go by the ids that the service gave."""

    def __init__(self, now: datetime) -> None:
        self.now, self.names = now, 0
        self.members: dict[str, Member] = {}
        self.redemptions: dict[str, Record] = {}
        self.orders: dict[str, Record] = {}
        self.notices: list[Record] = []
        self.adjustments: dict[str, Record] = {}
        self.sent: list[Record] = []

    def settled(self, who: str, *, active: bool = True) -> Member:
        """A member after all that was due to be released; the service does so before it writes."""
        member = self.members[who]
        if active and member.state != "active":
            raise No("member_merged" if member.state == "merged" else "member_not_found")
        due = [(lot.due, name) for name, lot in member.lots.items() if not lot.open and lot.due]
        for at, name in sorted(due):
            if at <= self.now and member.lots[name].left:
                member.lots[name].open = True
                member.repay([name])
        return member

    def lot(self, member: Member, cause: str, points: int, **more: Any) -> str:
        self.names += 1
        given = {"left": points, "born": self.now, "ends": year_on(self.now), **more}
        member.lots[f"new {self.names:06}"] = Lot(cause, points, **given)
        return f"new {self.names:06}"

    @asked
    def order(self, who: str, order_id: str, fen: int) -> None:
        """An order, and what was reported of it before."""
        early = self.orders.get(order_id)
        if early is not None and early.who is not None:
            return
        member = self.settled(who)
        order = Record(who=who, paid=fen, back=0, cancelled=False, received=None, refunds={})
        self.orders[order_id] = order
        if points := fen * RATE // 10_000:
            self.lot(member, order_id, points, ends=None, open=False)
        if early is not None:
            if early.received:
                self.complete(order_id, early.received)
            for refund_id, amount in early.refunds.items():
                order.refunds[refund_id] = amount
                self._take_back(order_id, back=min(fen, order.back + amount))
            if early.cancelled:
                self.cancel(order_id)
        self.settled(who)

    def _known(self, order_id: str) -> Record:
        new = Record(who=None, paid=0, back=0, cancelled=False, received=None, refunds={})
        return self.orders.setdefault(order_id, new)

    def _take_back(self, order_id: str, *, back: int, cancelled: bool = False) -> None:
        """From the order's own lot, then from others in turn, then as debt."""
        order = self.orders[order_id]
        member = self.settled(order.who, active=False)
        kept = 0 if order.cancelled else (order.paid - order.back) * RATE // 10_000
        order.back, order.cancelled = back, order.cancelled or cancelled
        left = 0 if order.cancelled else (order.paid - order.back) * RATE // 10_000
        ours = [name for name, lot in member.lots.items() if lot.cause == order_id]
        sources = [*ours, *(name for name in member.in_turn() if name not in ours)]
        member.debt += kept - left - sum(member.take(sources, kept - left).values())

    @asked
    def complete(self, order_id: str, at: datetime) -> None:
        order = self._known(order_id)
        if order.received not in (None, at):
            raise No("already_recorded_differently")
        order.received = at
        if order.who is not None:
            for lot in self.settled(order.who, active=False).lots.values():
                if lot.cause == order_id and not lot.open and lot.left:
                    lot.due, lot.ends = at + 7 * DAY, year_on(at + 7 * DAY)
            self.settled(order.who, active=False)

    @asked
    def refund(self, order_id: str, refund_id: str, fen: int) -> None:
        order = self._known(order_id)
        if refund_id in order.refunds:
            return
        if order.who is not None:
            if not order.cancelled and fen > order.paid - order.back:
                raise No("refund_exceeds_payment")
            self._take_back(order_id, back=min(order.paid, order.back + fen))
        order.refunds[refund_id] = fen

    @asked
    def cancel(self, order_id: str) -> None:
        order = self._known(order_id)
        if order.who is not None:
            self._take_back(order_id, back=order.paid, cancelled=True)
        order.cancelled = True
