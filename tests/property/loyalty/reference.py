"""A ledger of points by plain reasoning: what the service is compared with, request by request.

It shares nothing with the service. Every request answers with its outcome: `ok` or a refusal.
"""

from datetime import datetime
from types import SimpleNamespace as Record
from typing import Any

from tests.property.loyalty.reference_lots import (
    DAY,
    FAR,
    Lot,
    Member,
    No,
    asked,
    day_end,
    day_of,
    later,
    year_on,
)

RATE = 125  # points per 100 yuan


class Books:
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

    @asked
    def redeem(self, who: str, points: int, redemption: str) -> None:
        self._spent(who, points, redemption)

    def stale(self, who: str) -> None:
        """Holds whose time is over are released as of then."""
        ours = ((one.until, name) for name, one in self.redemptions.items() if one.who == who
                and one.state == "held" and one.until <= self.now)  # fmt: skip
        for at, name in sorted(ours):
            self._end(name, "released", closed=at)

    def _end(self, redemption: str, state: str, *, spent: int = 0, closed: datetime) -> None:
        one = self.redemptions[redemption]
        member = self.settled(one.who, active=False)
        member.held -= one.points if one.state == "held" else 0
        member.get_back(one, sum(one.used.values()) - spent)
        one.state, one.closed = state, closed

    @asked
    def hold(self, who: str, points: int, about: str, until: datetime, redemption: str) -> None:
        member = self.settled(who)
        self.stale(who)
        for one in self.redemptions.values():
            if (one.who, one.about, one.state) == (who, about, "held"):
                if one.points != points:
                    raise No("already_held")
                return
        member.held += points
        self._spent(who, points, redemption, about=about, until=until, state="held")

    def _spent(self, who: str, points: int, redemption: str, **more: Any) -> None:
        used = self.settled(who).spend(points)
        plain = {"about": "", "until": None, "state": "redeemed", "closed": None, **more}
        self.redemptions[redemption] = Record(who=who, points=points, used=used, **plain)

    @asked
    def capture(self, redemption: str, points: int | None) -> None:
        one = self.redemptions[redemption]
        wanted = points or one.points
        if one.state == "redeemed" and one.until and wanted == sum(one.used.values()):
            return
        if one.state in ("redeemed", "cancelled"):
            raise No("redemption_closed")
        if one.until <= self.now and (one.closed is None or one.closed >= one.until):
            raise No("hold_expired")
        if one.state == "released" or wanted > one.points:
            raise No("redemption_closed" if one.state == "released" else "capture_exceeds_hold")
        self._end(redemption, "redeemed", spent=wanted, closed=self.now)

    @asked
    def release(self, redemption: str) -> None:
        one = self.redemptions[redemption]
        if one.state in ("redeemed", "cancelled"):
            raise No("redemption_closed")
        if one.state == "held":
            self._end(redemption, "released", closed=self.now)

    @asked
    def give_back(self, redemption: str) -> None:
        one = self.redemptions[redemption]
        if one.state in ("held", "released"):
            raise No("redemption_held" if one.state == "held" else "redemption_closed")
        if one.state == "redeemed":
            self._end(redemption, "cancelled", closed=self.now)

    @asked
    def transfer(self, who: str, to: str, points: int, transfer: str) -> None:
        if who == to:
            raise No("transfer_to_self")
        sender, state = self.settled(who), self.members[to].state
        if state != "active":
            raise No("recipient_merged" if state == "merged" else "recipient_not_found")
        receiver = self.settled(to)
        today = [one.points for one in self.sent if (one.who, one.day) == (who, day_of(self.now))]
        if len(today) >= 10:
            raise No("transfer_count_reached")
        if sum(today) + points > 5_000:
            raise No("transfer_limit_reached")
        hot = {name for name, lot in sender.lots.items()
               if lot.cause.startswith("trf_") and lot.born > self.now - DAY}  # fmt: skip
        cool = [name for name in sender.in_turn() if name not in hot]
        if sender.points(are_open=True) >= points > sum(sender.lots[n].left for n in cool):
            raise No("points_cooling")
        for name, part in sender.spend(points, cool).items():
            ends = sender.lots[name].ends
            receiver.repay([self.lot(receiver, transfer, part, ends=ends)])
        self.sent.append(Record(who=who, day=day_of(self.now), points=points))

    @asked
    def adjust(self, who: str, points: int, by: str, adjustment: str) -> None:
        self.settled(who)
        alone = sum(abs(one.points) for one in self.adjustments.values() if one.alone
                    and (one.who, one.by, one.day) == (who, by, day_of(self.now)))  # fmt: skip
        one = Record(who=who, points=points, by=by, day=day_of(self.now), decided_by=None,
                     alone=alone + abs(points) <= 10_000, state="waiting")  # fmt: skip
        if one.alone:
            self._adjust(one, adjustment)
        self.adjustments[adjustment] = one

    def _adjust(self, one: Record, cause: str) -> None:
        member = self.settled(one.who)
        if one.points < 0:
            member.spend(-one.points)
        else:
            member.repay([self.lot(member, cause, one.points)])
        one.state = "approve"

    @asked
    def decide(self, adjustment: str, decision: str, by: str) -> None:
        one = self.adjustments[adjustment]
        if by == one.by:
            raise No("second_person_needed")
        if one.state != "waiting" and (one.state, one.decided_by) != (decision, by):
            raise No("adjustment_decided")
        if one.state == "waiting":
            if decision == "approve":
                self._adjust(one, adjustment)
            one.state, one.decided_by = decision, by

    @asked
    def bring(self, who: str, points: int) -> None:
        """An opening balance; a negative one takes what there is and leaves debt."""
        member = self.settled(who)
        if points > 0:
            member.repay([self.lot(member, "import", points)])
        else:
            member.debt -= points + sum(member.take(member.in_turn(), -points).values())

    @asked
    def merge(self, who: str, source: str) -> None:
        if who == source:
            raise No("merge_with_itself")
        member, other = self.settled(who), self.settled(source)
        member.lots |= other.lots
        member.held, member.debt = member.held + other.held, member.debt + other.debt
        member.repay(member.in_turn())
        self.members[source] = Member(state="merged", into=who)
        for one in self.members.values():
            one.into = who if one.into == source else one.into
        for one in [*self.orders.values(), *self.redemptions.values()]:
            one.who = who if one.who == source else one.who

    @asked
    def erase(self, who: str) -> None:
        self.settled(who)
        for one in [who, *(name for name, one in self.members.items() if one.into == who)]:
            self.members[one] = Member(state="erased")

    @asked
    def extend(self, who: str, at: datetime) -> None:
        """All lots that lapse before the end of a day are good until then."""
        member = self._ended(who)
        until = day_end(at)
        lots = [lot for lot in member.lots.values() if lot.left and lot.ends and lot.ends < until]
        if not lots:
            raise No("nothing_to_extend")
        for lot in lots:
            lot.ends = until

    @asked
    def reinstate(self, who: str, name: str, points: int | None) -> None:
        member = self._ended(who)
        if name not in member.lots:
            raise No("not_found")
        lapsed, lot = member.lapsed.get(name, 0), member.lots[name]
        if not 0 < (points or lapsed) <= lapsed:
            raise No("more_than_lapsed")
        until = later(day_of(day_end(self.now)))
        lot.ends = max(lot.ends, until) if lot.left and lot.ends else until
        lot.left, lot.open = lot.left + (points or lapsed), True
        member.lapsed[name] = lapsed - (points or lapsed)
        member.repay([name])

    def _ended(self, who: str) -> Member:
        """No lot lapses unless a notice of its day and of all of it was delivered in time."""
        member = self.settled(who)
        while past := [(lot.ends, name) for name, lot in member.lots.items()
                       if lot.open and lot.left and lot.ends and lot.ends <= self.now]:  # fmt: skip
            ends, name = min(past)
            lot = member.lots[name]
            for one in self.notices:
                if ((one.who, one.ends) == (who, ends) and one.lots.get(name, 0) >= lot.left
                        and one.delivered and one.delivered <= ends - 14 * DAY):  # fmt: skip
                    one.lots[name] -= lot.left
                    member.lapsed[name] = member.lapsed.get(name, 0) + lot.left
                    lot.left = 0
                    break
            else:
                lot.ends = later(day_of(ends))
        return member

    @asked
    def deliver(self, notice: Record) -> None:
        notice.delivered = self.now

    def run_jobs(self) -> None:
        """What the clock does at this moment."""
        active = {who: one for who, one in self.members.items() if one.state == "active"}
        for who, member in active.items():
            self.settled(who)
            self.stale(who)
            for ends in sorted({lot.ends for lot in member.lots.values() if lot.left and lot.ends}):
                self._announce(who, member, ends)
        for who in active:
            self._ended(who)

    def _announce(self, who: str, member: Member, ends: datetime) -> None:
        lots = {n: lot.left for n, lot in member.lots.items() if lot.left and lot.ends == ends}
        told = [one.told for one in self.notices if (one.who, one.ends) == (who, ends)]
        untold = [n for n, left in lots.items() if member.lots[n].open
                  and all(one.get(n, 0) < left for one in told)]  # fmt: skip
        if untold and 14 * DAY <= ends - self.now <= 30 * DAY:
            new = Record(who=who, ends=ends, told=lots, lots=dict(lots), delivered=None, id=None)
            self.notices.append(new)

    def next_moment(self) -> datetime:
        """When the clock has something to do again."""
        lots = [lot for one in self.members.values() for lot in one.lots.values() if lot.left]
        moments = {lot.due for lot in lots if not lot.open}
        moments |= {lot.ends and lot.ends - days * DAY for lot in lots for days in (0, 30)}
        moments |= {one.until for one in self.redemptions.values() if one.state == "held"}
        return min(at for at in [*moments, FAR] if at is not None and at > self.now)
