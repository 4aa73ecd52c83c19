"""Laws of the ledger, whatever happens to a member's points and in whatever order."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.loyalty.domain.clawbacks import claw_back
from services.loyalty.domain.ledger import Account, Stamp, entry_hash
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.points import (
    InsufficientPoints,
    earn_pending,
    expire,
    redeem,
    release_due,
    schedule,
)
from services.loyalty.domain.programme import earned_points

START = datetime(2026, 1, 1, tzinfo=UTC)
MEMBER_ACCOUNTS = ("available", "pending", "held", "debt")


class Books(RuleBasedStateMachine):
    """A member's life beside a reference that only counts: credits, debits, and who owes whom."""

    def __init__(self) -> None:
        super().__init__()
        self.account = Account(member_id="mem_1")
        self.now = START
        self.numbers = 0
        #: The reference: points of each order not yet available, available ones, and debt.
        self.pending: dict[int, int] = {}
        self.available = 0
        self.debt = 0
        self.due: dict[int, datetime] = {}
        #: What may still be clawed back of each order.
        self.earned: dict[int, int] = {}

    @initialize()
    def begin(self) -> None:
        self.account = Account(member_id="mem_1")

    @property
    def stamp(self) -> Stamp:
        return Stamp(at=self.now, actor="test")

    def _next(self) -> int:
        self.numbers += 1
        return self.numbers

    @rule(points=st.integers(0, 500))
    def order(self, points: int) -> None:
        number = self._next()
        self.account = earn_pending(
            self.account, lot_id=f"lot_{number:04}", points=points,
            cause=Cause(kind="order", id=str(number)), programme_version=1,
            occurred_at=self.now, stamp=self.stamp,
        )  # fmt: skip
        self.pending[number] = self.earned[number] = points

    @precondition(lambda self: self.pending)
    @rule(data=st.data(), days=st.integers(0, 10), lapses=st.none() | st.integers(1, 400))
    def complete(self, data: st.DataObject, days: int, lapses: int | None) -> None:
        number = data.draw(st.sampled_from(sorted(self.pending)))
        if number in self.due:
            return
        self.due[number] = self.now + timedelta(days=days)
        self.account = schedule(
            self.account, cause=Cause(kind="order", id=str(number)),
            available_at=self.due[number],
            expires_at=None if lapses is None else self.now + timedelta(days=lapses),
        )  # fmt: skip

    @rule(days=st.integers(0, 20))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)
        self.account = release_due(self.account, stamp=self.stamp)
        for number in [n for n, due in self.due.items() if n in self.pending and due <= self.now]:
            points = self.pending.pop(number)
            repaid = min(points, self.debt)
            self.debt -= repaid
            self.available += points - repaid

    @rule(points=st.integers(1, 600))
    def spend(self, points: int) -> None:
        cause = Cause(kind="redemption", id=str(self._next()))
        try:
            self.account = redeem(
                self.account, points=points, cause=cause, programme_version=1, stamp=self.stamp
            )
        except InsufficientPoints:
            assert points > self.available
            return
        self.available -= points

    @precondition(lambda self: any(self.earned.values()))
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([n for n, left in self.earned.items() if left]))
        points = data.draw(st.integers(1, self.earned[number]))
        self.account = claw_back(
            self.account, points=points, earned_by=Cause(kind="order", id=str(number)),
            cause=Cause(kind="refund", id=str(self._next())), programme_version=1,
            occurred_at=self.now, stamp=self.stamp,
        )  # fmt: skip
        self.earned[number] -= points
        from_pending = min(points, self.pending.get(number, 0))
        if from_pending:
            self.pending[number] -= from_pending
        from_available = min(points - from_pending, self.available)
        self.available -= from_available
        self.debt += points - from_pending - from_available

    @precondition(lambda self: self.account.lots_in("available"))
    @rule(data=st.data())
    def lapse(self, data: st.DataObject) -> None:
        lot = data.draw(st.sampled_from(self.account.lots_in("available")))
        self.account = expire(
            self.account, lot_id=lot.id, cause=Cause(kind="lot", id=lot.id), stamp=self.stamp
        )
        self.available -= lot.remaining

    @invariant()
    def balances_are_the_references(self) -> None:
        balances = self.account.balances
        assert balances.available == self.available
        assert balances.pending == sum(self.pending.values())
        assert balances.debt == self.debt
        assert balances.held == 0

    @invariant()
    def nobody_owes_while_they_have_something_to_spend(self) -> None:
        assert not (self.account.balances.debt and self.account.balances.available)

    @invariant()
    def lots_add_up_to_balances(self) -> None:
        for state in ("available", "pending"):
            held = sum(lot.remaining for lot in self.account.lots_in(state))
            assert held == getattr(self.account.balances, state)

    @invariant()
    def entries_add_up_to_balances_and_to_nothing_in_all(self) -> None:
        credits: Counter[str] = Counter()
        for entry in self.account.entries:
            credits[entry.credit_account] += entry.points
            credits[entry.debit_account] -= entry.points
        assert sum(credits.values()) == 0
        for name in MEMBER_ACCOUNTS:
            sign = -1 if name == "debt" else 1
            assert credits[name] * sign == getattr(self.account.balances, name)

    @invariant()
    def allocations_add_up_to_lots(self) -> None:
        moved: Counter[str] = Counter()
        for entry in self.account.entries:
            for part in entry.allocations:
                moved[part.lot_id] += part.points
        for lot in self.account.lots.values():
            assert moved[lot.id] == lot.remaining

    @invariant()
    def entries_are_numbered_and_chained(self) -> None:
        entries = self.account.entries
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        for before, after in pairwise(entries):
            assert after.previous_hash == before.hash
        assert all(entry_hash(entry) == entry.hash for entry in entries)


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@st.composite
def refunds_of_an_order(draw: st.DrawFn) -> tuple[int, int, list[int], list[int]]:
    """An order, a multiplier, a split of some of it into refunds, and the same shuffled."""
    paid_fen = draw(st.integers(1, 2_000_000))
    refunded_fen = draw(st.integers(1, paid_fen))
    cuts = sorted(draw(st.lists(st.integers(1, refunded_fen), max_size=8, unique=True)))
    edges = [0, *(cut for cut in cuts if cut < refunded_fen), refunded_fen]
    split = [high - low for low, high in pairwise(edges)]
    return (
        paid_fen,
        draw(st.sampled_from([100, 120, 150, 200])),
        split,
        draw(st.permutations(split)),
    )


ORDER = Cause(kind="order", id="SO-1")
STAMP = Stamp(at=START, actor="test")


def bought(account: Account, cause: Cause, points: int) -> Account:
    return earn_pending(
        account, lot_id=f"lot_{cause.id}", points=points, cause=cause, programme_version=1,
        occurred_at=START, stamp=STAMP,
    )  # fmt: skip


def received(account: Account, cause: Cause) -> Account:
    scheduled = schedule(account, cause=cause, available_at=START, expires_at=None)
    return release_due(scheduled, stamp=STAMP)


def refunded(account: Account, points: int, *, number: int) -> Account:
    cause = Cause(kind="refund", id=str(number))
    if points == 0:
        return account
    return claw_back(
        account, points=points, earned_by=ORDER, cause=cause, programme_version=1,
        occurred_at=START, stamp=STAMP,
    )  # fmt: skip


def clawbacks(paid_fen: int, multiplier_percent: int, parts: list[int]) -> list[int]:
    """What each refund takes back, by the closed form."""
    kept = [paid_fen - sum(parts[:place]) for place in range(len(parts) + 1)]
    earned = [
        earned_points(paid_fen=fen, points_per_yuan=1, multiplier_percent=multiplier_percent)
        for fen in kept
    ]
    return [before - after for before, after in pairwise(earned)]


def state_of(account: Account) -> Any:
    return account.balances, {lot.id: lot.remaining for lot in account.lots.values()}


@given(story=refunds_of_an_order(), received_after=st.integers(0, 9))
def test_any_split_and_any_order_of_refunds_end_in_the_same_state(
    story: tuple[int, int, list[int], list[int]], received_after: int
) -> None:
    paid_fen, multiplier, split, shuffled = story
    earned = earned_points(paid_fen=paid_fen, points_per_yuan=1, multiplier_percent=multiplier)

    def end(parts: list[int], received_after: int) -> Any:
        account = bought(Account(member_id="mem_1"), ORDER, earned)
        for number, points in enumerate(clawbacks(paid_fen, multiplier, parts)):
            if number == received_after:
                account = received(account, ORDER)
            account = refunded(account, points, number=number)
        account = received(account, ORDER)
        kept_fen = paid_fen - sum(parts)
        assert account.balances.total == earned_points(
            paid_fen=kept_fen, points_per_yuan=1, multiplier_percent=multiplier
        )
        return state_of(account)

    assert end(split, 0) == end(shuffled, received_after) == end([sum(split)], 0)


@given(story=refunds_of_an_order(), spent_permille=st.integers(0, 1000), other=st.integers(1, 900))
def test_however_refunds_of_spent_points_are_split_the_same_lots_pay_and_the_same_is_owed(
    story: tuple[int, int, list[int], list[int]], spent_permille: int, other: int
) -> None:
    paid_fen, multiplier, split, shuffled = story
    earned = earned_points(paid_fen=paid_fen, points_per_yuan=1, multiplier_percent=multiplier)

    def end(parts: list[int]) -> Any:
        another = Cause(kind="order", id="SO-0")
        account = received(bought(Account(member_id="mem_1"), another, other), another)
        account = received(bought(account, ORDER, earned), ORDER)
        spent = account.balances.available * spent_permille // 1000
        if spent:
            account = redeem(
                account, points=spent, cause=Cause(kind="redemption", id="rdm_1"),
                programme_version=1, stamp=STAMP,
            )  # fmt: skip
        for number, points in enumerate(clawbacks(paid_fen, multiplier, parts)):
            account = refunded(account, points, number=number)
        return state_of(account)

    assert end(split) == end(shuffled) == end([sum(split)])
