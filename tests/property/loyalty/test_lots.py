"""Random lives of lots: nothing lapses unheard, whatever is earned, spent, told, and when."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.loyalty.domain.activity import has_renewable, renew
from services.loyalty.domain.expiries import Lapse, day_end, end_due, extend, extended
from services.loyalty.domain.expiry_notices import Notice, deliver_by
from services.loyalty.domain.ledger import Account, Stamp
from services.loyalty.domain.lots import Cause, Lot, expiry_schedule
from services.loyalty.domain.lots_rules import LotsRules
from services.loyalty.domain.points import (
    InsufficientPoints,
    earn_pending,
    redeem,
    release_due,
    schedule,
)
from services.loyalty.domain.programme import Expiry, expires_at
from services.loyalty.domain.reinstatements import MoreThanLapsed, reinstate
from shared.kernel.clock import BUSINESS_ZONE, business_day_start

START = datetime(2026, 1, 1, tzinfo=BUSINESS_ZONE)
POLICIES = [
    Expiry(policy="rolling", months=2),
    Expiry(policy="activity", months=2),
    Expiry(policy="fixed"),
    Expiry(policy="never"),
]
RULES = LotsRules(notice_days=30, least_notice_days=14, extension_days=30)


class LivesOfLots(RuleBasedStateMachine):
    """One member's lots beside a reference that only counts points and remembers who was told."""

    @initialize()
    def begin(self) -> None:
        self.account = Account(member_id="mem_1")
        self.now = START
        self.numbers = 0
        self.notices: dict[str, Notice] = {}
        self.earned = self.spent = self.lapsed = 0
        #: Lapsed and not given back, by lot; what lapsed under each notice, by lot.
        self.lapsed_of: dict[str, int] = {}
        self.used: dict[tuple[str, str], int] = {}

    @property
    def stamp(self) -> Stamp:
        return Stamp(at=self.now, actor="test")

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers

    @rule(points=st.integers(1, 500), policy=st.sampled_from(POLICIES), days=st.integers(0, 7))
    def earn(self, points: int, policy: Expiry, days: int) -> None:
        number = self._number()
        cause = Cause(kind="order", id=str(number))
        available_at = self.now + timedelta(days=days)
        account = earn_pending(
            self.account, lot_id=f"lot_{number:04}", points=points, cause=cause,
            programme_version=1, occurred_at=self.now, stamp=self.stamp,
        )  # fmt: skip
        account = schedule(
            account,
            cause=cause,
            available_at=available_at,
            expires_at=expires_at(policy, available_at=available_at),
        )
        months = policy.months if policy.policy == "activity" else None
        lot = replace(account.lots[f"lot_{number:04}"], renewal_months=months)
        self.account = release_due(account.with_lots([lot]), stamp=self.stamp)
        self.earned += points

    @rule(points=st.integers(1, 600))
    def spend(self, points: int) -> None:
        before = self.account
        try:
            spent = redeem(
                before, points=points, cause=Cause(kind="redemption", id=str(self._number())),
                programme_version=1, stamp=self.stamp,
            )  # fmt: skip
        except InsufficientPoints:
            return
        self.spent += points
        self.account = renew(spent, at=self.now)
        for lot in self.account.lots.values():
            was = before.lots[lot.id].expires_at
            assert lot.expires_at == was or (was is not None and lot.expires_at > was)  # type: ignore[operator]
            assert lot.expires_at == was or lot.renewal_months
        assert has_renewable(self.account) or self.account.lots == spent.lots
        assert renew(self.account, at=self.now) == self.account

    @rule()
    def announce(self) -> None:
        groups: dict[datetime, list[Lot]] = {}
        for lot in self.account.lots.values():
            if lot.is_open and lot.expires_at is not None and lot.expires_at > self.now:
                groups.setdefault(lot.expires_at, []).append(lot)
        for day, lots in groups.items():
            id_ = f"exn_{self._number():04}"
            self.notices[id_] = Notice(
                id=id_, expires_at=day, deliver_by=deliver_by(day, rules=RULES),
                delivered_at=None, lots={lot.id: lot.remaining for lot in lots},
            )  # fmt: skip

    @precondition(lambda self: self.notices)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """At some moment that may be too late; told now."""
        notice = self.notices[data.draw(st.sampled_from(sorted(self.notices)))]
        if notice.delivered_at is None:
            self.notices[notice.id] = replace(notice, delivered_at=self.now)

    @rule(days=st.integers(1, 90), jobs=st.booleans())
    def time_passes(self, days: int, jobs: bool) -> None:
        self.now += timedelta(days=days)
        self.account = release_due(self.account, stamp=self.stamp)
        if jobs:
            self._end()

    @rule(days=st.integers(1, 200))
    def extend_all(self, days: int) -> None:
        self._end()
        until = day_end(self.now + timedelta(days=days))
        before = self.account
        open_lots = [lot.id for lot in before.lots.values() if lot.is_open]
        movable = [id_ for id_ in open_lots if (at := before.lots[id_].expires_at) and at < until]
        if movable:
            self.account = extend(before, lot_ids=movable, until=until, at=self.now).account
        assert self.account.balances == before.balances

    @precondition(lambda self: any(self.lapsed_of.values()))
    @rule(data=st.data(), points=st.integers(1, 600))
    def give_back(self, data: st.DataObject, points: int) -> None:
        lot_id = data.draw(st.sampled_from([id_ for id_, n in self.lapsed_of.items() if n]))
        try:
            self.account = reinstate(
                self.account, lot=self.account.lots[lot_id], lapsed=self.lapsed_of[lot_id],
                points=points, until=extended(day_end(self.now), rules=RULES),
                cause=Cause(kind="reinstatement", id=str(self._number())), programme_version=1,
                stamp=self.stamp,
            )  # fmt: skip
        except MoreThanLapsed:
            assert points > self.lapsed_of[lot_id]
            return
        self.lapsed_of[lot_id] -= points
        self.lapsed -= points

    def _end(self) -> None:
        told = list(self._left_of_notices())
        ended = end_due(self.account, notices=told, rules=RULES, stamp=self.stamp)
        for lapse in ended.lapses:
            self._heard(lapse)
            self.lapsed += lapse.points
            self.lapsed_of[lapse.lot_id] = self.lapsed_of.get(lapse.lot_id, 0) + lapse.points
        for extension in ended.extensions:
            assert extension.after - extension.before >= timedelta(days=RULES.extension_days)
        again = end_due(ended.account, notices=told, rules=RULES, stamp=self.stamp)
        assert (again.lapses, again.extensions) == ((), ())
        self.account = ended.account

    def _left_of_notices(self) -> list[Notice]:
        """As the store gives them: less what lapsed under them before."""
        return [
            replace(
                one,
                lots={id_: n - self.used.get((one.id, id_), 0) for id_, n in one.lots.items()},
            )
            for one in self.notices.values()
        ]

    def _heard(self, lapse: Lapse) -> None:
        """The law itself, in its own words: told of that day, of so many points, 14 days before."""
        notice = self.notices[lapse.notice_id]
        day = self.account.lots[lapse.lot_id].expires_at
        assert notice.delivered_at is not None
        assert notice.expires_at <= self.now
        assert notice.delivered_at + timedelta(days=14) <= notice.expires_at
        assert day is not None
        assert day <= notice.expires_at
        key = (lapse.notice_id, lapse.lot_id)
        self.used[key] = self.used.get(key, 0) + lapse.points
        assert self.used[key] <= notice.lots[lapse.lot_id]

    @invariant()
    def every_point_is_somewhere(self) -> None:
        balances = self.account.balances
        remaining = balances.available + balances.pending
        assert self.lapsed + remaining + self.spent == self.earned
        assert balances.held == balances.debt == 0

    @invariant()
    def the_schedule_adds_up_to_the_balance(self) -> None:
        parts = expiry_schedule(self.account.lots.values())
        assert sum(points for _, points in parts) == self.account.balances.available
        days = [day for day, _ in parts]
        assert len(set(days)) == len(days)
        known = [day for day in days if day is not None]
        assert days == [*sorted(known), *([None] if None in days else [])]


TestLivesOfLots = LivesOfLots.TestCase
TestLivesOfLots.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 100), st.integers(0, 400), st.integers(0, 120), st.booleans()
        ),
        min_size=1, max_size=6,
    ),
    st.lists(st.integers(1, 60), min_size=1, max_size=10),
)  # fmt: skip
def test_ending_lots_often_or_once_comes_to_the_same(
    made: list[tuple[int, int, int, bool]], pauses: list[int]
) -> None:
    """The books do not depend on how late the job is, whatever was told before."""
    account, notices = Account(member_id="mem_1"), []
    for number, (points, days, told, heard) in enumerate(made):
        day = business_day_start((START + timedelta(days=days)).date())
        cause = Cause(kind="order", id=str(number))
        account = earn_pending(
            account, lot_id=f"lot_{number}", points=points, cause=cause, programme_version=1,
            occurred_at=START, stamp=Stamp(at=START, actor="test"),
        )  # fmt: skip
        account = schedule(account, cause=cause, available_at=START, expires_at=day)
        notices.append(
            Notice(
                id=f"exn_{number}", expires_at=day, deliver_by=deliver_by(day, rules=RULES),
                delivered_at=START if heard else None, lots={f"lot_{number}": told},
            )
        )  # fmt: skip
    account = release_due(account, stamp=Stamp(at=START, actor="test"))
    often, now = account, START
    for days in pauses:
        now += timedelta(days=days)
        stamp = Stamp(at=now, actor="test")
        often = end_due(often, notices=notices, rules=RULES, stamp=stamp).account
    once = end_due(account, notices=notices, rules=RULES, stamp=Stamp(at=now, actor="test")).account
    assert often.balances == once.balances
    assert often.lots == once.lots
    moments = [[(e.kind, e.points, e.occurred_at) for e in b.entries] for b in (often, once)]
    assert moments[0] == moments[1]
