"""Who may ask for what, and when, in the reference: orders, and points that are spent or held.

It shares nothing with the service. Every request answers with its outcome, `ok` or a refusal.
"""

import pickle
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from types import SimpleNamespace as Record
from typing import Any

from tests.property.loyalty.reference import ALL, DAY, Ledger, Member, Order, year_on


class No(Exception):
    """A refusal; its argument is the code."""


def asked(rule: Callable[..., None]) -> Callable[..., str]:
    """A request: it does all or, when refused, nothing."""

    @wraps(rule)
    def outcome(books: Any, *given: Any) -> str:
        before = pickle.dumps((books.members, books.redemptions, books.notices))
        try:
            rule(books, *given)
        except No as no:
            books.members, books.redemptions, books.notices = pickle.loads(before)
            return str(no)
        return "ok"

    return outcome


def spend(member: Member, points: int, names: list[str] | None = None) -> dict[str, int]:
    """Points from these lots, or from all in turn."""
    if points > member.points(are_open=True):
        raise No("insufficient_points")
    lots = member.in_turn() if names is None else names
    return member.move(points, [(name, ALL) for name in lots], -1)


class Rules(Ledger):
    """What shops and members ask for."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.told: dict[str, Record] = {}
        self.notices: list[Record] = []

    def active(self, who: str) -> Member:
        """A member up to the present, who neither lives on in another nor is erased."""
        if self.members[who].state != "active":
            merged = self.members[who].state == "merged"
            raise No("member_merged" if merged else "member_not_found")
        return self.settled(who)

    def held(self, who: str) -> int:
        uses = self.redemptions.values()
        return sum(one.points for one in uses if (one.who, one.state) == (who, "held"))

    def facts(self, order: str) -> Record:
        """What was told of an order, perhaps before the order itself."""
        return self.told.setdefault(order, Record(received=None, refunds={}, cancelled=False))

    @asked
    def order(self, who: str, name: str, fen: int, reservation: str | None) -> None:
        """An order, paid in part by what was reserved; then what was told of it before."""
        if name in self.orders:
            return
        self.active(who)
        used, facts = {}, self.facts(name)
        if reservation is not None:
            one = self.redemptions[reservation]
            if one.who != who or one.state != "held":
                raise No("reservation_unknown" if one.who != who else "reservation_closed")
            one.state, used = "redeemed", dict(one.used)
        order = self.orders[name] = Order(who, fen, used, dict(used))
        if order.earned():
            self.lot(who, name, order.earned(), ends=None, open=False)
        if facts.received:
            self._receive(name)
        for back in facts.refunds.values():
            self.take_back(name, back)
        if facts.cancelled:
            self.take_back(name, fen, cancelled=True)
        self.settled(who)

    def _receive(self, name: str) -> None:
        due = self.facts(name).received + 7 * DAY
        for lot in self.members[self.orders[name].who].lots.values():
            if lot.cause == name and lot.left and not lot.open:
                lot.due, lot.ends = due, year_on(due)

    @asked
    def complete(self, name: str, at: datetime) -> None:
        facts = self.facts(name)
        if facts.received not in (None, at):
            raise No("already_recorded_differently")
        if facts.received == at:
            return
        facts.received = at
        if name in self.orders:
            self.settled(self.orders[name].who)
            self._receive(name)
            self.settled(self.orders[name].who)

    @asked
    def refund(self, name: str, refund: str, fen: int) -> None:
        facts, order = self.facts(name), self.orders.get(name)
        if refund in facts.refunds:
            return
        if order is not None:
            if not order.cancelled and fen > order.paid - order.back:
                raise No("refund_exceeds_payment")
            self.settled(order.who)
            self.take_back(name, fen)
        facts.refunds[refund] = fen

    @asked
    def cancel(self, name: str) -> None:
        if name in self.orders:
            self.settled(self.orders[name].who)
            self.take_back(name, self.orders[name].paid, cancelled=True)
        self.facts(name).cancelled = True

    def _spent(self, who: str, points: int, name: str, **more: Any) -> None:
        used = spend(self.active(who), points)
        plain = {"about": "", "until": None, "state": "redeemed", "closed": None, **more}
        self.redemptions[name] = Record(who=who, points=points, used=used, **plain)

    @asked
    def redeem(self, who: str, points: int, name: str) -> None:
        if self.active(who).points(are_open=True) < points:
            self.stale(who)
        self._spent(who, points, name)

    @asked
    def reserve(self, who: str, points: int, fen: int, name: str) -> None:
        """At checkout a point pays a fen."""
        self.active(who)
        self.stale(who)
        if points > min(fen, self.members[who].points(are_open=True)):
            raise No("points_not_usable")
        self._spent(who, points, name, until=self.now + DAY / 96, state="held")

    @asked
    def hold(self, who: str, points: int, about: str, until: datetime, name: str) -> None:
        self.active(who)
        self.stale(who)
        for one in self.redemptions.values():
            if (one.who, one.about, one.state) == (who, about, "held"):
                if one.points != points:
                    raise No("already_held")
                return
        self._spent(who, points, name, about=about, until=until, state="held")

    def stale(self, who: str) -> None:
        """Holds whose time is over are released as of then, those of the checkout first."""
        ours = ((not name.startswith("rsv_"), one.until, name)
                for name, one in self.redemptions.items()
                if (one.who, one.state) == (who, "held") and one.until <= self.now)  # fmt: skip
        for _, at, name in sorted(ours):
            self._end(name, "released", closed=at)

    def _end(self, name: str, state: str, *, kept: int = 0, closed: datetime) -> None:
        one = self.redemptions[name]
        self.settled(one.who).get_back(one.used, sum(one.used.values()) - kept)
        one.state, one.closed = state, closed

    @asked
    def capture(self, name: str, points: int | None) -> None:
        one = self.redemptions[name]
        wanted = points or one.points
        if one.state == "redeemed" and one.until and wanted == sum(one.used.values()):
            return
        if one.state in ("redeemed", "cancelled"):
            raise No("redemption_closed")
        if one.until <= self.now and (one.closed is None or one.closed >= one.until):
            raise No("hold_expired")
        if one.state == "released" or wanted > one.points:
            raise No("redemption_closed" if one.state == "released" else "capture_exceeds_hold")
        self._end(name, "redeemed", kept=wanted, closed=self.now)

    @asked
    def release(self, name: str) -> None:
        """Of a hold, or of what a checkout reserved."""
        one = self.redemptions[name]
        if one.state in ("redeemed", "cancelled"):
            raise No("reservation_closed" if name.startswith("rsv_") else "redemption_closed")
        if one.state == "held":
            self._end(name, "released", closed=self.now)

    @asked
    def give_back(self, name: str) -> None:
        one = self.redemptions[name]
        if one.state in ("held", "released"):
            raise No("redemption_held" if one.state == "held" else "redemption_closed")
        if one.state == "redeemed":
            self._end(name, "cancelled", closed=self.now)
