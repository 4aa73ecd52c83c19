"""Laws of holding, capturing, cancelling, transferring and adjusting, among three members."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.loyalty.domain.adjustments import give_points, take_points
from services.loyalty.domain.clawbacks import claw_back
from services.loyalty.domain.holds import capture, give_back, hold, last_used
from services.loyalty.domain.ledger import Account, Stamp
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.points import InsufficientPoints, redeem
from services.loyalty.domain.transfers import PointsCooling, transfer

START = datetime(2026, 1, 1, tzinfo=UTC)
COOLING = timedelta(hours=24)
MEMBERS = ("mem_1", "mem_2", "mem_3")
OWN = ("available", "pending", "held", "debt")


class Moves(RuleBasedStateMachine):
    """Three members' books beside a reference that only counts what each can spend and owes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.numbers = 0
        self.accounts = {one: Account(member_id=one) for one in MEMBERS}
        self.available = dict.fromkeys(MEMBERS, 0)
        self.debt = dict.fromkeys(MEMBERS, 0)
        #: Of each redemption: whose, how many points are held and how many are spent.
        self.held: dict[str, tuple[str, int]] = {}
        self.spent: dict[str, tuple[str, int]] = {}
        #: Of each gift: whose, and what may still be taken back.
        self.given: dict[str, tuple[str, int]] = {}

    @property
    def stamp(self) -> Stamp:
        return Stamp(at=self.now, actor="test")

    def next_id(self, kind: str) -> str:
        self.numbers += 1
        return f"{kind}_{self.numbers:04}"

    def gain(self, member: str, points: int) -> None:
        repaid = min(points, self.debt[member])
        self.debt[member] -= repaid
        self.available[member] += points - repaid

    def used(self, account: Account, redemption: str) -> list[tuple[Lot, int]]:
        """As store.redemptions.used_lots: what the redemption's entries took, less what came.

        What came and paid debt at once has come all the same.
        """
        paid: Counter[str] = Counter()
        for entry in account.entries:
            if entry.cause == Cause(kind="redemption", id=redemption) and entry.kind != "repaid":
                for part in entry.allocations:
                    paid[part.lot_id] -= part.points
        return [(account.lots[lot_id], points) for lot_id, points in paid.items() if points]

    @rule(member=st.sampled_from(MEMBERS), points=st.integers(1, 400), days=st.integers(1, 900))
    def given_by_an_operator(self, member: str, points: int, days: int) -> None:
        gift = self.next_id("adj")
        self.accounts[member] = give_points(
            self.accounts[member], points=points, lot_id=self.next_id("lot"),
            expires_at=self.now + timedelta(days=days), cause=Cause(kind="adjustment", id=gift),
            programme_version=1, stamp=self.stamp,
        )  # fmt: skip
        self.given[gift] = (member, points)
        self.gain(member, points)

    @rule(member=st.sampled_from(MEMBERS), points=st.integers(1, 500))
    def taken_by_an_operator(self, member: str, points: int) -> None:
        cause = Cause(kind="adjustment", id=self.next_id("adj"))
        try:
            self.accounts[member] = take_points(
                self.accounts[member], points=points, cause=cause, programme_version=1,
                stamp=self.stamp,
            )  # fmt: skip
        except InsufficientPoints:
            assert points > self.available[member]
            return
        self.available[member] -= points

    @precondition(lambda self: any(left for _, left in self.given.values()))
    @rule(data=st.data())
    def clawed_back(self, data: st.DataObject) -> None:
        gift = data.draw(st.sampled_from([one for one, (_, left) in self.given.items() if left]))
        member, left = self.given[gift]
        points = data.draw(st.integers(1, left))
        self.accounts[member] = claw_back(
            self.accounts[member], points=points, earned_by=Cause(kind="adjustment", id=gift),
            cause=Cause(kind="refund", id=self.next_id("ref")), programme_version=1,
            occurred_at=self.now, stamp=self.stamp,
        )  # fmt: skip
        self.given[gift] = (member, left - points)
        taken = min(points, self.available[member])
        self.available[member] -= taken
        self.debt[member] += points - taken

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(member=st.sampled_from(MEMBERS), points=st.integers(1, 500), spend=st.booleans())
    def spend_or_hold(self, member: str, points: int, spend: bool) -> None:
        redemption = self.next_id("rdm")
        before = self.accounts[member]
        try:
            self.accounts[member] = (redeem if spend else hold)(
                before, points=points, cause=Cause(kind="redemption", id=redemption),
                programme_version=1, stamp=self.stamp,
            )  # fmt: skip
        except InsufficientPoints:
            assert points > self.available[member]
            return
        self.available[member] -= points
        (self.spent if spend else self.held)[redemption] = (member, points)
        restored = self.returned(self.accounts[member], redemption, points, spent=spend)
        assert lots_of(restored) == lots_of(before), "undone at once, it leaves no trace in lots"

    def returned(self, account: Account, redemption: str, points: int, *, spent: bool) -> Account:
        return give_back(
            account, used=last_used(self.used(account, redemption), points=points),
            debit="redeemed" if spent else "held", cause=Cause(kind="redemption", id=redemption),
            programme_version=1, stamp=self.stamp,
        )  # fmt: skip

    @rule(member=st.sampled_from(MEMBERS), data=st.data())
    def holding_and_capturing_a_part_is_spending_that_part(
        self, member: str, data: st.DataObject
    ) -> None:
        if self.available[member] < 1:
            return
        whole = data.draw(st.integers(1, self.available[member]))
        part = data.draw(st.integers(1, whole))
        cause = Cause(kind="redemption", id=self.next_id("rdm"))
        before = self.accounts[member]
        direct = redeem(before, points=part, cause=cause, programme_version=1, stamp=self.stamp)
        account = hold(before, points=whole, cause=cause, programme_version=1, stamp=self.stamp)
        account = capture(account, points=part, cause=cause, programme_version=1, stamp=self.stamp)
        if part < whole:
            account = self.returned(account, cause.id, whole - part, spent=False)
        assert lots_of(account) == lots_of(direct)
        assert account.balances == direct.balances
        self.accounts[member] = account
        self.available[member] -= part
        self.spent[cause.id] = (member, part)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), share=st.integers(0, 100))
    def capture_or_release(self, data: st.DataObject, share: int) -> None:
        redemption = data.draw(st.sampled_from(sorted(self.held)))
        member, points = self.held.pop(redemption)
        captured = points * share // 100
        account = self.accounts[member]
        if captured:
            account = capture(
                account, points=captured, cause=Cause(kind="redemption", id=redemption),
                programme_version=1, stamp=self.stamp,
            )  # fmt: skip
            self.spent[redemption] = (member, captured)
        if captured < points:
            account = self.returned(account, redemption, points - captured, spent=False)
            self.gain(member, points - captured)
        self.accounts[member] = account

    @precondition(lambda self: self.spent)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        redemption = data.draw(st.sampled_from(sorted(self.spent)))
        member, points = self.spent.pop(redemption)
        self.accounts[member] = self.returned(self.accounts[member], redemption, points, spent=True)
        assert self.used(self.accounts[member], redemption) == []
        self.gain(member, points)

    @rule(pair=st.permutations(MEMBERS), points=st.integers(1, 400))
    def transfer(self, pair: list[str], points: int) -> None:
        sender, receiver = pair[:2]
        cooled = self.now - COOLING
        before = self.accounts[sender], self.accounts[receiver]
        try:
            after = transfer(
                *before, points=points, cooled_by=cooled,
                cause=Cause(kind="transfer", id=self.next_id("trf")), programme_version=1,
                new_lot_id=lambda: self.next_id("lot"), stamp=self.stamp,
            )  # fmt: skip
        except InsufficientPoints:
            assert points > self.available[sender]
            return
        except PointsCooling:
            warm = [
                lot.remaining for lot in before[0].lots_in("available")
                if lot.cause.kind == "transfer" and lot.created_at > cooled
            ]  # fmt: skip
            assert points > self.available[sender] - sum(warm)
            return
        self.accounts[sender], self.accounts[receiver] = after
        self.available[sender] -= points
        self.gain(receiver, points)
        sent = lapsing(before[0]) - lapsing(after[0])
        new = [lot for id_, lot in after[1].lots.items() if id_ not in before[1].lots]
        assert sent == sum((Counter({lot.expires_at: lot.points}) for lot in new), Counter())

    @invariant()
    def balances_are_the_references(self) -> None:
        for member, account in self.accounts.items():
            balances = account.balances
            assert balances.available == self.available[member] >= 0
            assert balances.debt == self.debt[member] >= 0
            held = sum(points for whose, points in self.held.values() if whose == member)
            assert balances.held == held
            assert not (balances.debt and balances.available)

    @invariant()
    def lots_add_up_to_balances(self) -> None:
        for account in self.accounts.values():
            left = sum(lot.remaining for lot in account.lots_in("available"))
            assert left == account.balances.available

    @invariant()
    def nothing_comes_from_nowhere(self) -> None:
        sums: Counter[str] = Counter()
        for account in self.accounts.values():
            for entry in account.entries:
                sums[entry.credit_account] += entry.points
                sums[entry.debit_account] -= entry.points
        owned = sum(account.balances.total for account in self.accounts.values())
        assert owned + sum(n for name, n in sums.items() if name not in OWN) == 0
        assert sums["transferred"] == 0
        assert sums["redeemed"] == sum(points for _, points in self.spent.values())


def lots_of(account: Account) -> dict[str, Lot]:
    """The lots as they stand; one that gave all and got all back is as it was."""
    return {lot.id: replace(lot) for lot in account.lots.values()}


def lapsing(account: Account) -> Counter[datetime | None]:
    """How many available points lapse when."""
    found: Counter[datetime | None] = Counter()
    for lot in account.lots_in("available"):
        found[lot.expires_at] += lot.remaining
    return found


TestMoves = Moves.TestCase
TestMoves.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
