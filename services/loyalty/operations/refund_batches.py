"""Recording refunds in batches: the ordinary case, an order on record that cash alone has paid.

What is unusual goes the ordinary way, one by one (`operations.refunds.record_refund`): a refund
before its order, an order with a reservation or a voucher that would come back, a member who was
merged or erased.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.loyalty.domain.facts import AlreadyRecordedDifferently
from services.loyalty.domain.order_decisions import WentBack, decide_refund
from services.loyalty.domain.orders import Order
from services.loyalty.domain.refunds import Refund, RefundFacts
from services.loyalty.operations.order_books import books_of, note_step
from services.loyalty.operations.points import stamp_of
from services.loyalty.operations.refunds import RecordedRefund, new_refund, repeated_refund
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.orders import OrderRecord
from services.loyalty.store.readings import MemberReader
from services.loyalty.store.refund_batches import read_refunds, save_refunds
from services.loyalty.store.tables import TierChange
from shared.batches import NeedsOwnTransaction, Saving
from shared.db import Occasion
from shared.lanes import Connection


@dataclass(kw_only=True)
class Refunding:
    """The orders and members of a batch as they are by now, and the refunds that were recorded."""

    records: dict[str, OrderRecord]
    members: dict[str, LockedMember]
    with_vouchers: frozenset[str]
    #: The refund ids on record, whosever they are, and those that were recorded.
    refund_ids: set[str]
    changed: set[str] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)
    refunds: list[Refund] = field(default_factory=list)
    tier_changes: list[TierChange] = field(default_factory=list)

    def take(self, member: LockedMember, step: WentBack, *, change: TierChange | None) -> Refund:
        """Go on from what a refund did."""
        refund, books = step.refund, step.after
        assert refund is not None
        record = self.records[books.order.order_id]
        record.order = books.order
        record.refunds.append(refund)
        self.members[member.id] = member.with_account(books.account).with_standing(books.standing)
        self.changed.add(member.id)
        self.orders[books.order.order_id] = books.order
        self.refunds.append(refund)
        self.refund_ids.add(refund.facts.refund_id)
        if change is not None:
            self.tier_changes.append(change)
        return refund


class RefundRecordings:
    """The batch operation: two round trips and one commit for any number of refunds.

    Carefully five more, for the transaction, the keys, the orders' ids and the accounts.
    """

    def __init__(self, reader: MemberReader) -> None:
        self._reader = reader

    def subject(self, command: RefundFacts) -> str:
        """The order: whose it is, the command does not tell.

        So two batches under way may be at two orders of one member. The later one finds the
        account changed, and goes the careful way.
        """
        return command.order_id

    async def load(
        self,
        connection: Connection,
        commands: Sequence[RefundFacts],
        *,
        now: datetime,
        careful: bool,
    ) -> Refunding:
        """Read the orders with what is on record about them, and their members."""
        found = await read_refunds(connection, self._reader, commands, now=now, locked=careful)
        on_record = {
            refund.facts.refund_id for one in found.records.values() for refund in one.refunds
        }
        return Refunding(
            records=found.records,
            members=found.members,
            with_vouchers=found.with_vouchers,
            refund_ids=on_record | found.ids_elsewhere,
        )

    def decide(self, state: Refunding, command: RefundFacts, occasion: Occasion) -> RecordedRefund:
        """Record a refund and take back what it earned; a repetition gets what is on record.

        Raises AlreadyRecordedDifferently, RefundExceedsPayment, RefundItemUnknown,
        RefundItemExceeded, and NeedsOwnTransaction for what is not ordinary.
        """
        record = state.records[command.order_id]
        repeated = repeated_refund(record, facts=command)
        if repeated is not None:
            return repeated
        order = record.order
        if order is None or order.reservation_id is not None:
            raise NeedsOwnTransaction
        member, books = books_of(occasion, record=record, order=order, members=state.members)
        refund = new_refund(command, at=occasion.now)
        step = decide_refund(books, refund=refund, stamp=stamp_of(occasion))
        goes = step.after.order.is_gone and not order.is_gone
        if goes and order.order_id in state.with_vouchers:
            raise NeedsOwnTransaction
        if command.refund_id in state.refund_ids:
            raise AlreadyRecordedDifferently(id=command.refund_id)
        change = note_step(occasion, member=member, step=step)
        refund = state.take(member, step, change=change)
        return RecordedRefund(refund=refund, order=step.after.order, repeated=False)

    async def save(self, connection: Connection, state: Refunding, saving: Saving) -> None:
        """Write what was recorded, with its replies and events."""
        await save_refunds(
            connection,
            members=[state.members[member_id] for member_id in sorted(state.changed)],
            orders=list(state.orders.values()),
            refunds=state.refunds,
            tier_changes=state.tier_changes,
            saving=saving,
        )
