"""An order's life without a database: its facts come in any order, and the decisions are taken.

Plays what the operations do around the pure decisions: what is on record, and what waits.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.loyalty.domain.clawbacks import DrawnLot, SpentPoints, claw_back
from services.loyalty.domain.holds import capture, hold
from services.loyalty.domain.ledger import Account, Stamp
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.order_books import OrderBooks
from services.loyalty.domain.order_cancellations import Cancellation, CancellationFacts
from services.loyalty.domain.order_decisions import (
    Waiting,
    WentBack,
    cancel,
    complete,
    decide_refund,
    record,
)
from services.loyalty.domain.orders import Order, OrderFacts, OrderItem
from services.loyalty.domain.points import earn_pending, redeem, release_due, schedule
from services.loyalty.domain.programme import Programme
from services.loyalty.domain.refunds import Refund, RefundFacts
from services.loyalty.domain.tiers import Standing, first_standing

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
STAMP = Stamp(at=NOW, actor="test")
ORDER = Cause(kind="order", id="SO-1")
REDEMPTION = Cause(kind="redemption", id="rdm_1")
#: Received so long ago that the hold is over.
LONG_AGO = NOW - timedelta(days=30)


@dataclass
class World:
    """A member with some lots, and an order of theirs that is reported bit by bit."""

    programme: Programme
    account: Account = field(default_factory=lambda: Account(member_id="mem_1"))
    standing: Standing | None = None
    order: Order | None = None
    redeemed: int = 0
    returned: int = 0
    refunds: dict[str, Refund] = field(default_factory=dict)
    cancellation: Cancellation | None = None
    completed_at: datetime | None = None

    def __post_init__(self) -> None:
        self.standing = first_standing(self.programme, now=NOW)

    def earn(self, name: str, points: int, *, lapses_in_days: int | None) -> None:
        """A lot of another order, usable."""
        cause = Cause(kind="order", id=name)
        account = earn_pending(
            self.account, lot_id=f"lot_{name}", points=points, cause=cause, programme_version=1,
            occurred_at=NOW, stamp=STAMP,
        )  # fmt: skip
        lapses = None if lapses_in_days is None else NOW + timedelta(days=lapses_in_days)
        account = schedule(account, cause=cause, available_at=NOW, expires_at=lapses)
        self.account = release_due(account, stamp=STAMP)

    def spend(self, points: int) -> None:
        """Spend points on something else."""
        if points:
            cause = Cause(kind="redemption", id="rdm_else")
            self.account = redeem(
                self.account, points=points, cause=cause, programme_version=1, stamp=STAMP
            )

    def owe(self, points: int) -> None:
        """Lose all that is available and owe some points, by the refund of another order."""
        if points:
            self.account = claw_back(
                self.account, points=self.account.balances.available + points,
                earned_by=Cause(kind="order", id="SO-ELSE"),
                cause=Cause(kind="refund", id="RF-ELSE"), programme_version=1, occurred_at=NOW,
                stamp=STAMP,
            )  # fmt: skip

    def pay_with(self, points: int) -> None:
        """Hold points and use them up on the order."""
        self.redeemed = points
        if points:
            held = hold(
                self.account, points=points, cause=REDEMPTION, programme_version=1, stamp=STAMP
            )
            self.account = capture(
                held, points=points, cause=REDEMPTION, programme_version=1, stamp=STAMP
            )

    def hear_order(self, facts: OrderFacts) -> None:
        """The order is reported, perhaps again."""
        if self.order is not None:
            assert self.order.facts_hash == facts.hash()
            return
        assert self.standing is not None
        recorded = record(
            self.account, standing=self.standing, programme=self.programme, facts=facts,
            waiting=Waiting(
                refunds=tuple(
                    sorted(self.refunds.values(), key=lambda one: one.facts.refund_id)
                ),
                cancellation=self.cancellation,
                completed_at=self.completed_at,
            ),
            spent=self._spent(), lot_id="lot_own", stamp=STAMP,
        )  # fmt: skip
        for step in recorded.went_back:
            self._keep(step)
        self._take(recorded.books)

    def hear_completion(self, at: datetime) -> None:
        """The order was received."""
        if self.order is not None and self.order.completed_at is None:
            self._take(complete(self._books(), completed_at=at))
        self.completed_at = at

    def hear_refund(self, facts: RefundFacts) -> None:
        """Money went back."""
        if facts.refund_id in self.refunds:
            return
        new = Refund(facts=facts, facts_hash=facts.hash(), member_id=None, recorded_at=NOW)
        self.refunds[facts.refund_id] = new
        if self.order is not None:
            step = decide_refund(
                replace(self._books(), refunds=self._counted()), refund=new, stamp=STAMP
            )
            self._keep(step)
            self._take(step.after)

    def hear_cancellation(self, facts: CancellationFacts) -> None:
        """The order was called off."""
        if self.cancellation is not None:
            return
        self.cancellation = Cancellation(
            facts=facts, facts_hash=facts.hash(), member_id=None, recorded_at=NOW
        )
        if self.order is not None:
            step = cancel(self._books(), cancellation=self.cancellation, stamp=STAMP)
            self._keep(step)
            self._take(step.after)

    def end(self) -> Any:
        """All by which two ends are compared."""
        order = self.order
        assert order is not None
        assert self.standing is not None
        refunds: list[Refund | Cancellation] = [*self.refunds.values()]
        refunds += [self.cancellation] if self.cancellation else []
        assert sum(one.applied_fen or 0 for one in refunds) == order.refunded_fen
        assert sum(one.returned_points or 0 for one in refunds) == self.returned
        assert sum(one.clawed_back_points or 0 for one in refunds) == order.clawed_back_points
        return (
            self.account.balances,
            {lot.id: lot.remaining for lot in self.account.lots.values() if lot.remaining},
            self.standing.growth,
            self.standing.tier_code,
            (order.state, order.refunded_fen, order.clawed_back_points, self.returned),
        )

    def _counted(self) -> tuple[Refund, ...]:
        return tuple(one for one in self.refunds.values() if one.applied_at is not None)

    def _books(self) -> OrderBooks:
        assert self.order is not None
        assert self.standing is not None
        return OrderBooks(
            account=self.account, standing=self.standing, programme=self.programme,
            order=self.order, spent=self._spent(), refunds=self._counted(),
        )  # fmt: skip

    def _keep(self, step: WentBack) -> None:
        if step.refund is not None:
            self.refunds[step.refund.facts.refund_id] = step.refund
        if step.cancellation is not None:
            self.cancellation = step.cancellation

    def _take(self, books: OrderBooks) -> None:
        self.account = release_due(books.account, stamp=STAMP)
        self.standing, self.order = books.standing, books.order
        self.returned = books.spent.returned if books.spent else 0

    def _spent(self) -> SpentPoints | None:
        """As store.refunds.find_spent_points reads it, from the entries alone."""
        if not self.redeemed:
            return None
        causes = {("redemption", "rdm_1"), ("cancellation", "SO-1")}
        causes |= {("refund", refund_id) for refund_id in self.refunds}
        causes |= {("order", "SO-1")}
        paid: Counter[str] = Counter()
        out: Counter[str] = Counter()
        paid_debt: set[str] = set()
        lots = self.account.lots
        for entry in self.account.entries:
            if (entry.cause.kind, entry.cause.id) in causes:
                for part in entry.allocations:
                    if "pending" not in (entry.debit_account, entry.credit_account):
                        out[part.lot_id] -= part.points
                    if entry.kind in ("restored", "repaid"):
                        paid_debt.add(part.lot_id)
                    if entry.kind == "held":
                        paid[part.lot_id] -= part.points
        return SpentPoints(
            redemption_id="rdm_1", points=self.redeemed, returned=self.returned,
            lots=tuple(
                DrawnLot(
                    lot=lots[lot_id], paid=paid[lot_id], out=points, own=lots[lot_id].cause == ORDER
                )
                for lot_id, points in out.items()
                if lots[lot_id].cause != ORDER or lot_id in paid_debt
            ),
        )  # fmt: skip


def order_facts(*, paid_fen: int, discount_fen: int = 0, pieces: int = 1) -> OrderFacts:
    """The order, of one line with some pieces."""
    return OrderFacts(
        order_id="SO-1", member_id="mem_1", paid_fen=paid_fen, discount_fen=discount_fen,
        items=(OrderItem(sku="A", category=None, quantity=pieces, paid_fen=paid_fen),),
        channel=None, reservation_id="rsv_1", device_id=None, payer_hash=None, paid_at=NOW,
    )  # fmt: skip


def refund_facts(number: int, amount_fen: int, *, by_line: bool = False) -> RefundFacts:
    """A refund of it, by amount or of one piece of the line."""
    item = OrderItem(sku="A", category=None, quantity=1, paid_fen=amount_fen)
    return RefundFacts(
        refund_id=f"RF-{number}", order_id="SO-1", amount_fen=amount_fen,
        items=(item,) if by_line else None, refunded_at=NOW + timedelta(seconds=number),
    )  # fmt: skip


CANCELLATION = CancellationFacts(order_id="SO-1", reason=None, cancelled_at=NOW)
