"""A referral as the service keeps it, in memory, beside a loyalty that only counts vouchers.

Facts are kept once by their ids, a decision follows each, and loyalty answers when it likes: the
service's own rules on both sides of every step, without a database.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from services.referral.domain.decisions import Decision, decide
from services.referral.domain.orders import PaidOrder, Refund
from services.referral.domain.programme import Programme
from services.referral.domain.referrals import ReferralFacts, ReferralState, refuse_illegal_move
from services.referral.domain.rewards import (
    Outcome,
    Reward,
    with_outcome,
    with_refusal,
    with_voucher,
)

ENROLLED: Final = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)

#: Far more answers than any history of a few orders needs.
_ANSWERS_MAX: Final = 50

#: A reward's name: stage, role, generation.
Name = tuple[str, str, int]


@dataclass(frozen=True)
class Enrolled:
    """The referee enrolled with the code."""


@dataclass(frozen=True)
class Paid:
    """An order of the referee was paid, some hours after the enrolment."""

    order_id: str
    hours: int
    paid_fen: int


@dataclass(frozen=True)
class Completed:
    """An order was received."""

    order_id: str


@dataclass(frozen=True)
class Refunded:
    """Money of an order went back."""

    refund_id: str
    order_id: str
    amount_fen: int


Fact = Enrolled | Paid | Completed | Refunded


@dataclass
class Loyalty:
    """Issues once per reward, voids what is unused, writes off what is used."""

    gone: bool = False
    asked: dict[Name, int] = field(default_factory=dict)
    vouchers: dict[Name, str] = field(default_factory=dict)
    refused: set[Name] = field(default_factory=set)

    def issue(self, name: Name) -> bool:
        """Put a voucher into the wallet; False when there is no such member any more."""
        if self.gone:
            self.refused.add(name)
            return False
        self.vouchers.setdefault(name, "usable")
        return True

    def take_back(self, name: Name) -> Outcome:
        """What becomes of a reward that is to be taken back."""
        if name not in self.vouchers:
            return "never_issued"
        if self.vouchers[name] == "used":
            return "written_off"
        self.vouchers[name] = "void"
        return "voided"

    def use_all(self) -> None:
        """Their holders use all vouchers that they can use."""
        self.vouchers = {
            name: "used" if state == "usable" else state for name, state in self.vouchers.items()
        }

    def kept(self) -> list[tuple[str, str]]:
        """The (stage, role) of each voucher that is usable or was used."""
        return sorted(name[:2] for name, state in self.vouchers.items() if state != "void")


@dataclass
class Circle:
    """One referral: what was heard, what was decided, and what is still on its way to loyalty."""

    programme: Programme
    loyalty: Loyalty = field(default_factory=Loyalty)
    facts: set[Fact] = field(default_factory=set)
    state: ReferralState = "attributed"
    rewards: dict[Name, Reward] = field(default_factory=dict)
    #: Questions to loyalty, in order, as its feed of them would be.
    questions: list[tuple[str, Name]] = field(default_factory=list)

    def hear(self, fact: Fact) -> None:
        """Keep a fact and decide anew, once the enrolment is known."""
        self.facts.add(fact)
        self._reconcile()

    def is_at_rest(self) -> bool:
        """Whether a further decision would change nothing: true after each that was carried out."""
        if Enrolled() not in self.facts:
            return not self.rewards
        decision = self.decision()
        return (self.state, decision.changes) == (decision.state, [])

    def answer_one(self) -> bool:
        """Let loyalty answer the oldest question; False when none is open."""
        if not self.questions:
            return False
        kind, name = self.questions.pop(0)
        reward = self.rewards[name]
        if kind == "issue":
            if self.loyalty.issue(name):
                changed = with_voucher(reward, voucher_id=f"voucher of {name}")
            else:
                changed = with_refusal(reward, reason="member_unknown")
        else:
            outcome = self.loyalty.take_back(name)
            changed = with_outcome(reward, outcome=outcome, voucher_id=None)
        self.rewards[name] = changed
        self._reconcile()
        return True

    def settle(self) -> None:
        """Let loyalty answer all that is open, and all that follows from it."""
        for _ in range(_ANSWERS_MAX):
            if not self.answer_one():
                return
        raise AssertionError("loyalty is asked for ever")

    def live(self) -> list[tuple[str, str]]:
        """The (stage, role) of each reward that counts."""
        return sorted(name[:2] for name, reward in self.rewards.items() if reward.is_live)

    def _reconcile(self) -> None:
        if Enrolled() not in self.facts:
            return
        decision = self.decision()
        if self.state != decision.state:
            refuse_illegal_move(self.state, decision.state)
            self.state = decision.state
        for change in decision.changes:
            self._apply(change)

    def decision(self) -> Decision:
        """What would be decided now."""
        known = ReferralFacts(
            enrolled_at=ENROLLED,
            refusal=None,
            referrer_capped=False,
            orders=list(self._orders()),
            refunds=list(self._refunds()),
        )
        return decide(known, programme=self.programme, rewards=list(self.rewards.values()))

    def _apply(self, change: Reward) -> None:
        name = (change.stage, change.role, change.generation)
        self.rewards[name] = change
        if change.state == "issuing":
            self.loyalty.asked[name] = self.loyalty.asked.get(name, 0) + 1
            self.questions.append(("issue", name))
        elif change.state == "reversed" and change.outcome is None:
            self.questions.append(("take back", name))
        assert len(set(self.live())) == len(self.live()), "two live rewards for one stage and role"

    def _orders(self) -> Iterator[PaidOrder]:
        completed = {fact.order_id for fact in self.facts if isinstance(fact, Completed)}
        for fact in self.facts:
            if isinstance(fact, Paid):
                paid_at = ENROLLED + timedelta(hours=fact.hours)
                order = PaidOrder(order_id=fact.order_id, paid_fen=fact.paid_fen, paid_at=paid_at)
                done_at = paid_at + timedelta(days=3)
                yield replace(order, completed_at=done_at) if fact.order_id in completed else order

    def _refunds(self) -> Iterator[Refund]:
        paid = {fact.order_id: fact.paid_fen for fact in self.facts if isinstance(fact, Paid)}
        for fact in self.facts:
            if isinstance(fact, Refunded):
                yield Refund(
                    refund_id=fact.refund_id,
                    order_id=fact.order_id,
                    amount_fen=fact.amount_fen,
                    in_full=fact.amount_fen >= paid.get(fact.order_id, fact.amount_fen + 1),
                )
