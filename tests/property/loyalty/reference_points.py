"""Points in the reference: spent, held, given to others, given and taken by operators."""

from datetime import datetime
from types import SimpleNamespace as Record
from typing import Any

from tests.property.loyalty.reference_lots import DAY, Member, No, asked, day_of
from tests.property.loyalty.reference_orders import Orders


class Points(Orders):
    """What members and operators do with points."""

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
        ours, theirs = ({one.about for one in self.redemptions.values() if one.state == "held"
                         and one.who == name} for name in (who, source))  # fmt: skip
        if ours & theirs:
            raise No("merge_holds_conflict")
        member.lots |= other.lots
        member.held, member.debt = member.held + other.held, member.debt + other.debt
        member.repay(member.in_turn())
        self.members[source] = Member(state="merged", into=who)
        for one in self.members.values():
            one.into = who if one.into == source else one.into
        mine = [*self.orders.values(), *self.redemptions.values(), *self.adjustments.values()]
        for thing in mine:
            thing.who = who if thing.who == source else thing.who

    @asked
    def erase(self, who: str) -> None:
        self.settled(who)
        for one in [who, *(name for name, one in self.members.items() if one.into == who)]:
            self.members[one] = Member(state="erased")
