"""The reference: a ledger of points by plain reasoning, which the service is compared with.

It shares nothing with the service. Every request answers with its outcome, `ok` or a refusal.
Here is the end of lots and what the clock does; below lie points, orders, and lots.
"""

from datetime import datetime
from types import SimpleNamespace as Record

from tests.property.loyalty.reference_lots import (
    DAY,
    FAR,
    Member,
    No,
    asked,
    day_end,
    day_of,
    later,
)
from tests.property.loyalty.reference_points import Points


class Books(Points):
    """The whole reference."""

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
