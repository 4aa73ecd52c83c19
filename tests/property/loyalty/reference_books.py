"""The whole reference: also what members do among each other, what operators and the clock do.

It shares nothing with the service. Every request answers with its outcome, `ok` or a refusal.
"""

from datetime import date, datetime, time, timedelta
from types import SimpleNamespace as Record

from tests.property.loyalty.reference import DAY, FAR, HERE, Member, month_end
from tests.property.loyalty.reference_rules import No, Rules, asked, spend


def later(ends: datetime) -> datetime:
    """An extension: thirty days on, to the end of the month."""
    return month_end(ends.astimezone(HERE).date() + 29 * DAY)


def day_end(at: datetime) -> datetime:
    """The end of a business day; its very beginning is the end of the one before."""
    day = (at.astimezone(HERE) - timedelta(microseconds=1)).date()
    return datetime.combine(day + DAY, time(), HERE)


class Books(Rules):
    """The whole reference."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.sent: list[Record] = []

    @property
    def today(self) -> date:
        return self.now.astimezone(HERE).date()

    @asked
    def transfer(self, who: str, to: str, points: int, name: str) -> None:
        if who == to:
            raise No("transfer_to_self")
        sender, state = self.active(who), self.members[to].state
        if state != "active":
            raise No("recipient_merged" if state == "merged" else "recipient_not_found")
        self.stale(who)
        mine = {who, *(n for n, one in self.members.items() if one.who == who)}
        today = [one.points for one in self.sent if one.who in mine and one.day == self.today]
        if len(today) >= 3:
            raise No("transfer_count_reached")
        if sum(today) + points > 200:
            raise No("transfer_limit_reached")
        hot = {n for n, lot in sender.lots.items()
               if lot.cause.startswith("trf_") and lot.born > self.now - DAY}  # fmt: skip
        cool = [n for n in sender.in_turn() if n not in hot]
        if sender.points(are_open=True) >= points > sum(sender.lots[n].left for n in cool):
            raise No("points_cooling")
        self.settled(to)
        for n, part in spend(sender, points, cool).items():
            self.lot(to, name, part, ends=sender.lots[n].ends)
        self.sent.append(Record(who=who, day=self.today, points=points))

    @asked
    def adjust(self, who: str, points: int, by: str, name: str) -> None:
        self.active(who)
        mine = [one for one in self.adjustments.values() if one.alone
                and (one.who, one.by, one.day) == (who, by, self.today)]  # fmt: skip
        alone = sum(abs(one.points) for one in mine) + abs(points) <= 10_000
        one = Record(who=who, points=points, by=by, day=self.today, alone=alone, state="waiting")
        if alone:
            self._adjust(one, name)
        one.decided_by = None
        self.adjustments[name] = one

    def _adjust(self, one: Record, name: str) -> None:
        if one.points > 0:
            self.lot(one.who, name, one.points)
        else:
            self.stale(one.who)
            spend(self.members[one.who], -one.points)
        one.state = "approve"

    @asked
    def decide(self, name: str, decision: str, by: str) -> None:
        one = self.adjustments[name]
        if by == one.by:
            raise No("second_person_needed")
        if one.state != "waiting" and (one.state, one.decided_by) != (decision, by):
            raise No("adjustment_decided")
        if one.state == "waiting":
            self.active(one.who)
            if decision == "approve":
                self._adjust(one, name)
            one.state, one.decided_by = decision, by
            for merge in self.merges.values():  # it was decided for whoever lives on
                merge.things = [thing for thing in merge.things if thing != name]

    @asked
    def bring(self, who: str, points: int) -> None:
        """An opening balance; a negative one takes what there is and leaves debt."""
        member = self.active(who)
        if points > 0:
            self.lot(who, "import", points)
        else:
            member.debt -= points
            member.repay(member.in_turn())

    @asked
    def remember(self, who: str, points: int, lapsed: bool) -> None:
        """Points spent or lapsed in the past: only what imports brought can have been.

        What lapsed then can be given back by an operator like what lapses here.
        """
        member = self.active(who)
        brought = [n for n in member.in_turn() if member.lots[n].cause == "import"]
        if points > sum(member.lots[n].left for n in brought):
            raise No("insufficient_points")
        for name, part in spend(member, points, brought).items():
            member.lots[name].lapsed += part if lapsed else 0

    @asked
    def unite(self, who: str, source: str, name: str) -> None:
        """Merge one member into another."""
        if who == source:
            raise No("merge_with_itself")
        for one in (who, source):
            self.active(one)
        ours, theirs = ({one.about for one in self.redemptions.values()
                         if (one.who, one.state) == (whose, "held") and one.about}
                        for whose in (who, source))  # fmt: skip
        if ours & theirs:
            raise No("merge_holds_conflict")
        self.merge(name, who, source)

    @asked
    def separate(self, name: str) -> None:
        """Take a merge back: once, the last one first."""
        merge = self.merges[name]
        if merge.over:
            raise No("merge_reversed")
        states = self.members[merge.who].state, self.members[merge.source].state
        if states != ("active", "merged"):
            raise No("merge_final")
        open_ = [n for n, one in self.merges.items() if one.who == merge.who and not one.over]
        if open_[-1] != name:
            raise No("merge_not_last")
        self.part(merge)

    @asked
    def forget(self, who: str) -> None:
        """Erase a member."""
        self.active(who)
        self.erase(who)

    @asked
    def extend(self, who: str, at: datetime) -> None:
        """All lots that lapse before the end of a day are good until then, what is held too."""
        member, until = self._ended(who), day_end(at)
        held = {n for one in self.redemptions.values() if (one.who, one.state) == (who, "held")
                for n, part in one.used.items() if part}  # fmt: skip
        lots = [lot for n, lot in member.lots.items()
                if (lot.left or n in held) and (lot.ends or until) < until]  # fmt: skip
        if not lots:
            raise No("nothing_to_extend")
        for lot in lots:
            lot.ends = until

    @asked
    def reinstate(self, who: str, name: str, points: int | None) -> None:
        member = self._ended(who)
        if name not in member.lots:
            raise No("not_found")
        lot = member.lots[name]
        back, until = points or lot.lapsed, later(day_end(self.now))
        if not 0 < back <= lot.lapsed:
            raise No("more_than_lapsed")
        lot.ends = max(lot.ends, until) if lot.ends else until
        lot.lapsed -= back
        member.repay(member.move(back, [(name, back)], 1))

    def _ended(self, who: str) -> Member:
        """No lot lapses unless a notice of its day and of all of it was delivered in time."""
        member = self.active(who)
        while past := [(lot.ends, name) for name, lot in member.lots.items()
                       if lot.open and lot.left and lot.ends and lot.ends <= self.now]:  # fmt: skip
            ends, name = min(past)
            lot = member.lots[name]
            for one in self.notices:
                if ((one.who, one.ends) == (who, ends) and one.lots.get(name, 0) >= lot.left
                        and one.delivered and one.delivered <= ends - 14 * DAY):  # fmt: skip
                    one.lots[name] -= lot.left
                    lot.lapsed, lot.left = lot.lapsed + lot.left, 0
                    break
            else:
                lot.ends = later(ends)
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
