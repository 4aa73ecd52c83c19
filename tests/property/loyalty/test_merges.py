"""Laws of merging and parting, whatever the two lived through before, between and after."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.loyalty.domain.clawbacks import claw_back
from services.loyalty.domain.erasure import write_off
from services.loyalty.domain.ledger import Account, Balances, Stamp
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.merges import (
    debt_that_goes_back,
    hand_over,
    repay_debt,
    undo_repayment,
)
from services.loyalty.domain.merges_profile import ProfileFacts, empty_again, fill
from services.loyalty.domain.points import InsufficientPoints, earn_pending, redeem, release_due
from services.loyalty.domain.points import schedule as schedule_lot

START = datetime(2026, 1, 1, tzinfo=UTC)
ONE, OTHER = "mem_one", "mem_other"


class TwoLives(RuleBasedStateMachine):
    """Two members who may be one for a while; orders are refunded wherever they are."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.numbers = 0
        self.books = {ONE: Account(member_id=ONE), OTHER: Account(member_id=OTHER)}
        #: Order → whose it is, and what may still be clawed back of it.
        self.orders: dict[int, tuple[str, int]] = {}
        #: What came in from outside the two, less what went out.
        self.balance = 0
        self.merge: _Merge | None = None

    @property
    def stamp(self) -> Stamp:
        return Stamp(at=self.now, actor="test")

    def _next(self) -> int:
        self.numbers += 1
        return self.numbers

    def _living(self) -> list[str]:
        return [ONE, OTHER] if self.merge is None else [ONE]

    @rule(data=st.data(), points=st.integers(1, 500))
    def order(self, data: st.DataObject, points: int) -> None:
        number, who = self._next(), data.draw(st.sampled_from(self._living()))
        cause = Cause(kind="order", id=str(number))
        self.books[who] = earn_pending(
            self.books[who], lot_id=f"lot_{number:04}", points=points, cause=cause,
            programme_version=1, occurred_at=self.now, stamp=self.stamp,
        )  # fmt: skip
        self.orders[number] = (who, points)
        self.balance += points

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), lapses=st.none() | st.integers(1, 400))
    def complete(self, data: st.DataObject, lapses: int | None) -> None:
        number = data.draw(st.sampled_from(sorted(self.orders)))
        who = self.orders[number][0]
        self.books[who] = schedule_lot(
            self.books[who], cause=Cause(kind="order", id=str(number)),
            available_at=self.now + timedelta(days=7),
            expires_at=None if lapses is None else self.now + timedelta(days=lapses),
        )  # fmt: skip

    @rule(days=st.integers(0, 20))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)
        for who in self._living():
            self.books[who] = release_due(self.books[who], stamp=self.stamp)

    @rule(data=st.data(), points=st.integers(1, 600))
    def spend(self, data: st.DataObject, points: int) -> None:
        who = data.draw(st.sampled_from(self._living()))
        cause = Cause(kind="redemption", id=str(self._next()))
        try:
            self.books[who] = redeem(
                self.books[who], points=points, cause=cause, programme_version=1, stamp=self.stamp
            )
        except InsufficientPoints:
            return
        self.balance -= points

    @precondition(lambda self: any(left for _, left in self.orders.values()))
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([n for n, (_, left) in self.orders.items() if left]))
        who, left = self.orders[number]
        points = data.draw(st.integers(1, left))
        debt = self.books[who].balances.debt
        self.books[who] = claw_back(
            self.books[who], points=points, earned_by=Cause(kind="order", id=str(number)),
            cause=Cause(kind="refund", id=str(self._next())), programme_version=1,
            occurred_at=self.now, stamp=self.stamp,
        )  # fmt: skip
        self.orders[number] = (who, left - points)
        self.balance -= points
        if self.merge is not None and number in self.merge.orders:
            self.merge.caused_since += self.books[who].balances.debt - debt

    @precondition(lambda self: self.merge is None)
    @rule()
    def become_one(self) -> None:
        self.time_passes(0)
        target, source = self.books[ONE], self.books[OTHER]
        lots = [*source.lots_in("available"), *source.lots_in("pending")]
        cause = Cause(kind="merge", id=str(self._next()))
        given, taken = hand_over(
            source, target, lots=lots, held=0, debt=source.balances.debt, cause=cause,
            programme_version=1, stamp=self.stamp,
        )  # fmt: skip
        repaid = repay_debt(taken, cause=cause, programme_version=1, stamp=self.stamp)
        paid = {
            part.lot_id: -part.points
            for entry in repaid.entries[len(taken.entries) :]
            for part in entry.allocations
        }
        self.books = {ONE: repaid, OTHER: given}
        orders = {number for number, (who, _) in self.orders.items() if who == OTHER}
        self.merge = _Merge(
            lots={lot.id for lot in source.lots.values()}, orders=orders, paid=paid,
            brought=source.balances.debt,
        )  # fmt: skip
        self.orders |= {number: (ONE, self.orders[number][1]) for number in orders}

    @precondition(lambda self: self.merge is not None)
    @rule()
    def become_two(self) -> None:
        self.time_passes(0)
        assert self.merge is not None
        merge, target = self.merge, self.books[ONE]
        cause = Cause(kind="merge", id=str(self._next()))
        paid = [(target.lots[lot_id], points) for lot_id, points in merge.paid.items()]
        undone = undo_repayment(
            target, paid=paid, cause=cause, programme_version=1, stamp=self.stamp
        )
        lots = [
            lot
            for lot in [*undone.lots_in("available"), *undone.lots_in("pending")]
            if lot.id in merge.lots
        ]
        debt = debt_that_goes_back(
            present=undone.balances.debt, brought=merge.brought, caused_since=merge.caused_since
        )
        given, taken = hand_over(
            undone, self.books[OTHER], lots=lots, held=0, debt=debt, cause=cause,
            programme_version=1, stamp=self.stamp,
        )  # fmt: skip
        self.books = {
            ONE: repay_debt(given, cause=cause, programme_version=1, stamp=self.stamp),
            OTHER: repay_debt(taken, cause=cause, programme_version=1, stamp=self.stamp),
        }
        self.orders |= {number: (OTHER, self.orders[number][1]) for number in merge.orders}
        self.merge = None

    @invariant()
    def nothing_is_made_and_nothing_lost(self) -> None:
        assert sum(account.balances.total for account in self.books.values()) == self.balance

    @invariant()
    def what_one_handed_over_the_other_got(self) -> None:
        handed = [
            (entry.credit_account == "transferred", entry.points)
            for account in self.books.values()
            for entry in account.entries
            if "transferred" in (entry.credit_account, entry.debit_account)
        ]
        assert sum(points if to else -points for to, points in handed) == 0

    @invariant()
    def nobody_owes_while_they_have_something_to_spend(self) -> None:
        for account in self.books.values():
            assert not (account.balances.debt and account.balances.available)

    @invariant()
    def lots_add_up_to_balances(self) -> None:
        for account in self.books.values():
            for state in ("available", "pending"):
                held = sum(lot.remaining for lot in account.lots_in(state))
                assert held == getattr(account.balances, state)

    @invariant()
    def whoever_went_on_in_another_has_nothing(self) -> None:
        if self.merge is not None:
            assert self.books[OTHER].balances == Balances()


class _Merge:
    """What a merge has to remember."""

    def __init__(
        self, *, lots: set[str], orders: set[int], paid: dict[str, int], brought: int
    ) -> None:
        self.lots = lots
        self.orders = orders
        self.paid = paid
        self.brought = brought
        self.caused_since = 0


TestTwoLives = TwoLives.TestCase
TestTwoLives.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


lots = st.lists(
    st.builds(
        lambda state, points, left: (state, points, min(points, left)),
        st.sampled_from(["available", "pending"]),
        st.integers(1, 900),
        st.integers(1, 900),
    ),
    max_size=6,
)


def books(member_id: str, given: list[tuple[str, int, int]], *, held: int, debt: int) -> Account:
    """An account with these lots."""
    rows = [
        Lot(
            id=f"lot_{member_id}_{place}",
            cause=Cause(kind="order", id=f"{member_id}{place}"),
            state=state,  # type: ignore[arg-type]
            points=points,
            remaining=left,
            available_at=START,
            expires_at=None,
            programme_version=1,
            created_at=START,
        )
        for place, (state, points, left) in enumerate(given)
    ]
    empty = Account(member_id=member_id).with_lots(rows)
    total = {
        state: sum(lot.remaining for lot in empty.lots_in(state))
        for state in ("available", "pending")
    }
    return replace(empty, balances=Balances(**total, held=held, debt=debt), touched=frozenset())


@given(lots, lots, st.integers(0, 500), st.integers(0, 500))
def test_parting_at_once_leaves_both_as_they_were(
    own: list[tuple[str, int, int]], brought: list[tuple[str, int, int]], held: int, debt: int
) -> None:
    target, source = books(ONE, own, held=0, debt=0), books(OTHER, brought, held=held, debt=0)
    if not source.balances.available:
        source = replace(source, balances=replace(source.balances, debt=debt))
    stamp, cause = Stamp(at=START, actor="test"), Cause(kind="merge", id="mrg_1")
    handing = {"cause": cause, "programme_version": 1, "stamp": stamp}
    coming = [*source.lots_in("available"), *source.lots_in("pending")]
    given, taken = hand_over(
        source, target, lots=coming, held=held, debt=source.balances.debt, **handing  # type: ignore[arg-type]
    )  # fmt: skip
    merged = repay_debt(taken, **handing)  # type: ignore[arg-type]
    paid = [
        (merged.lots[part.lot_id], -part.points)
        for entry in merged.entries[len(taken.entries) :]
        for part in entry.allocations
    ]
    undone = undo_repayment(merged, paid=paid, **handing)  # type: ignore[arg-type]
    back, restored = hand_over(
        undone, given, held=held, debt=source.balances.debt,
        lots=[undone.lots[lot.id] for lot in coming], **handing,  # type: ignore[arg-type]
    )  # fmt: skip
    assert (back.balances, restored.balances) == (target.balances, source.balances)
    assert restored.lots == source.lots
    assert {lot.id: lot for lot in back.lots.values() if lot.remaining} == target.lots


@given(lots, st.integers(0, 500), st.integers(0, 500))
def test_writing_off_leaves_nothing(own: list[tuple[str, int, int]], held: int, debt: int) -> None:
    account = write_off(
        books(ONE, own, held=held, debt=debt), cause=Cause(kind="erasure", id=ONE),
        programme_version=1, stamp=Stamp(at=START, actor="test"),
    )  # fmt: skip
    assert account.balances == Balances()
    assert not any(lot.remaining for lot in account.lots.values())


words = st.none() | st.sampled_from(["a", "b"])
said = st.dictionaries(
    st.sampled_from(["sms", "email"]),
    st.builds(lambda yes, at: {"granted": yes, "at": at}, st.booleans(), st.sampled_from("12345")),
)
profiles = st.builds(
    lambda values, tags, consents: ProfileFacts(
        fields=dict(
            zip(("nickname", "birthday", "gender", "city", "phone_masked"), values, strict=True)
        ),
        tags=tags,
        consents=consents,
    ),
    st.tuples(words, words, words, words, words),
    st.lists(st.sampled_from(["x", "y", "z"]), unique=True),
    said,
)


@given(profiles, profiles)
def test_a_profile_filled_and_emptied_is_what_it_was(
    target: ProfileFacts, source: ProfileFacts
) -> None:
    merged, filled = fill(target, source)
    for name, value in target.fields.items():
        assert merged.fields[name] == (source.fields[name] if value is None else value)
    assert empty_again(merged, source, filled) == target
