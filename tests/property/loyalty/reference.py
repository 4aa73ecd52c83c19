"""The reference ledger: points by plain reasoning, which the service is compared with.

It shares nothing with the service. Who may ask for what, and when, stands in `reference_rules`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from types import SimpleNamespace as Record
from typing import Any

HERE, DAY = timezone(timedelta(hours=8)), timedelta(days=1)
FAR = datetime.max.replace(tzinfo=UTC)
ALL, RATE = 10**12, 125  # points; points per 100 yuan


def month_end(day: date) -> datetime:
    return datetime.combine((day.replace(day=28) + 4 * DAY).replace(day=1), time(), HERE)


def year_on(at: datetime) -> datetime:
    day = at.astimezone(HERE).date()
    return month_end(day.replace(year=day.year + 1, day=1))


@dataclass
class Lot:
    cause: str
    points: int
    left: int
    born: datetime
    ends: datetime | None
    due: datetime | None = None
    open: bool = True
    lapsed: int = 0
    gone: bool = False  # it lives on with another, by a merge or its reversal


@dataclass
class Order:
    who: str
    paid: int  # in fen, as is what went `back`
    used: dict[str, int]  # points that paid a part of it, by lots
    out: dict[str, int]  # what it has of each lot by now
    back: int = 0
    cancelled: bool = False

    def earned(self) -> int:
        return 0 if self.cancelled else (self.paid - self.back) * RATE // 10_000

    def returned(self) -> int:
        spent = sum(self.used.values())
        return spent if self.cancelled else spent * self.back // max(1, self.paid)


@dataclass
class Member:
    lots: dict[str, Lot] = field(default_factory=dict)
    debt: int = 0
    state: str = "active"
    who: str | None = None  # in whom they live on

    def points(self, *, are_open: bool) -> int:
        return sum(lot.left for lot in self.lots.values() if lot.open is are_open)

    def turn(self, name: str) -> tuple[datetime, datetime, str]:
        return self.lots[name].ends or FAR, self.lots[name].born, name

    def in_turn(self) -> list[str]:
        return sorted((n for n, lot in self.lots.items() if lot.open and lot.left), key=self.turn)

    def move(self, points: int, lots: Iterable[tuple[str, int]], sign: int) -> dict[str, int]:
        """Points from (-1) or to (1) lots in turn, so many each at most; there may be too few."""
        parts: dict[str, int] = {}
        for name, most in lots:
            lot = self.lots[name]
            if (part := min(points, most, lot.left if sign < 0 else most)) > 0:
                lot.left, lot.open = lot.left + sign * part, lot.open or sign > 0
                parts[name], points = parts.pop(name, 0) + part, points - part
        return parts

    def repay(self, names: Iterable[str]) -> dict[str, int]:
        paid = self.move(self.debt, [(name, ALL) for name in names], -1)
        self.debt -= sum(paid.values())
        return paid

    def get_back(self, used: dict[str, int], points: int) -> None:
        """To the lots used last first; then they repay debt."""
        last = sorted(used, key=self.turn, reverse=True)
        parts = self.move(points, [(name, used[name]) for name in last], 1)
        used.update({name: used[name] - part for name, part in parts.items()})
        self.repay(parts)

    def hand_over(self, to: "Member", names: Iterable[str]) -> None:
        """Lots live on with another; a part that is there already is joined to them."""
        for name in names:
            lot = self.lots[name]
            there = to.lots.setdefault(name, replace(lot, left=0, lapsed=0))
            if lot.left:
                ends = max(lot.ends or FAR, there.ends or FAR) if there.left else lot.ends
                left, lapsed = there.left + lot.left, there.lapsed
                there = to.lots[name] = replace(lot, left=left, ends=ends, lapsed=lapsed)
            lot.left, lot.gone, there.gone = 0, True, False


class Ledger:
    """Everybody's points. Members, orders and the like go by the ids that the service gave."""

    def __init__(self, now: datetime) -> None:
        self.now, self.names = now, 0
        self.members: dict[str, Member] = {}
        self.orders: dict[str, Order] = {}
        self.redemptions: dict[str, Record] = {}
        self.adjustments: dict[str, Record] = {}
        self.merges: dict[str, Record] = {}

    def settled(self, who: str) -> Member:
        """A member after all that was due was released; each request begins so."""
        member = self.members[who]
        due = [(lot.due or FAR, n) for n, lot in member.lots.items() if lot.left and not lot.open]
        for _, name in sorted(one for one in due if one[0] <= self.now):
            member.lots[name].open = True
            self.orders[member.lots[name].cause].out.update(member.repay([name]))
        return member

    def lot(self, who: str, cause: str, points: int, **more: Any) -> None:
        """A new lot, which repays debt if it is open."""
        self.names += 1
        name, given = f"new {self.names:06}", {"born": self.now, "ends": year_on(self.now), **more}
        lot = self.members[who].lots[name] = Lot(cause, points, points, **given)
        self.members[who].repay([name] if lot.open else [])

    def take_back(self, name: str, fen: int, *, cancelled: bool = False) -> None:
        """Of an order: spent points come back, then earned ones go, so that only totals count."""
        order, member = self.orders[name], self.members[self.orders[name].who]
        earned, returned = order.earned(), order.returned()
        order.back = min(order.paid, order.back + fen)
        order.cancelled |= cancelled
        kept, to_return = order.earned(), order.returned() - returned
        own = {n: lot for n, lot in member.lots.items() if lot.cause == name}
        drawn = sorted((n for n in order.out if n in member.lots and n not in own), key=member.turn)
        # To lots that stood in, then to its own what that paid of debt and may keep, then the rest.
        back = [(n, order.out[n] - order.used.get(n, 0)) for n in drawn[::-1]]
        back += [(n, min(order.out.get(n, 0), kept - lot.left)) for n, lot in own.items()]
        back += [(n, min(order.out[n], order.used.get(n, 0))) for n in drawn[::-1]]
        parts = member.move(to_return, back, 1)
        repaid = member.repay(reversed(parts))
        order.out |= {n: order.out[n] - part + repaid.get(n, 0) for n, part in parts.items()}
        # From its own lot, of which what may be kept goes after what came back; then from others.
        take = [(n, lot.left - kept * (n in order.out)) for n, lot in own.items()]
        take += [(n, order.used.get(n, 0) - order.out[n]) for n in drawn]
        take += [(n, ALL) for n in [*own, *member.in_turn()]]
        taken = member.move(earned - kept, take, -1)
        out = {n: order.out.get(n, 0) + part for n, part in taken.items()}
        order.out |= {n: part for n, part in out.items() if n not in own or n in order.out}
        debt = earned - kept - sum(taken.values())
        member.debt += debt
        for merge in self.merges.values():
            merge.debt += debt if name in merge.things else 0

    def reassign(self, source: str, to: str, names: Iterable[str] | None = None) -> list[str]:
        """Orders and the like, and members merged before, become another's; which ones."""
        things: dict[str, Any] = {**self.members, **self.orders, **self.redemptions}
        things |= self.adjustments
        moved = [n for n in (things if names is None else names) if things[n].who == source]
        for name in moved:
            things[name].who = to
        return moved

    def merge(self, name: str, who: str, source: str) -> None:
        """All that one has the other has from now on, and what either owes is repaid."""
        member, other = self.settled(who), self.settled(source)
        lots = [n for n, lot in other.lots.items() if lot.left or not lot.gone]
        merge = Record(who=who, lots=lots, source=source, debt=other.debt, over=False)
        self.merges[name] = merge
        merge.things = self.reassign(source, who)
        other.hand_over(member, lots)
        for n, lot in other.lots.items():
            member.lots.setdefault(n, replace(lot, lapsed=0))
        member.debt += other.debt
        other.debt, other.state, other.who = 0, "merged", who
        merge.repaid = member.repay(member.in_turn())

    def part(self, merge: Record) -> None:
        """What is left goes back, with the debt that came along or its orders made since."""
        member, other = self.settled(merge.who), self.members[merge.source]
        member.debt += sum(member.move(ALL, merge.repaid.items(), 1).values())
        debt = min(member.debt, merge.debt)
        self.reassign(merge.who, merge.source, merge.things)
        member.hand_over(other, merge.lots)
        member.debt, other.debt = member.debt - debt, debt
        other.state, other.who, merge.over = "active", None, True
        for one in (member, other):
            one.repay(one.in_turn())

    def erase(self, who: str) -> None:
        for name, one in self.members.items():
            if who in (name, one.who):
                self.members[name] = Member(state="erased")
