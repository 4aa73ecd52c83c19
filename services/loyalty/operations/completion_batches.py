"""Completing orders in batches: the ordinary case, an order on record of an active member.

What is unusual goes the ordinary way, one by one (`operations.orders.complete_order`): a completion
before its order, and the order of a member who was merged or erased.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.loyalty.domain.order_decisions import complete
from services.loyalty.domain.orders import CompletionFacts, Order
from services.loyalty.operations.order_books import books_of, note_completed
from services.loyalty.operations.orders import Completion, repeated_completion
from services.loyalty.operations.points import settle
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.completion_batches import save_completions
from services.loyalty.store.order_readings import read_orders
from services.loyalty.store.orders import OrderRecord
from services.loyalty.store.readings import MemberReader
from shared.batches import NeedsOwnTransaction, Saving
from shared.db import Occasion
from shared.lanes import Connection


@dataclass(kw_only=True)
class Completing:
    """The orders and members of a batch as they are by now, and the orders that were completed."""

    records: dict[str, OrderRecord]
    members: dict[str, LockedMember]
    changed: set[str] = field(default_factory=set)
    orders: list[Order] = field(default_factory=list)


class OrderCompletions:
    """The batch operation: two round trips and one commit for any number of completions."""

    def __init__(self, reader: MemberReader) -> None:
        self._reader = reader

    def subject(self, command: CompletionFacts) -> str:
        """The order: whose it is, the command does not tell."""
        return command.order_id

    async def load(
        self,
        connection: Connection,
        commands: Sequence[CompletionFacts],
        *,
        now: datetime,
        careful: bool,
    ) -> Completing:
        """Read the orders and their members. Only the orders' own lots can change, and due ones."""
        order_ids = [one.order_id for one in commands]
        found = await read_orders(connection, self._reader, order_ids, now=now, locked=careful)
        return Completing(records=found.records, members=found.members)

    def decide(self, state: Completing, command: CompletionFacts, occasion: Occasion) -> Completion:
        """Mark an order as received; a repetition gets what is on record.

        Raises AlreadyRecordedDifferently, and NeedsOwnTransaction for what is not ordinary.
        """
        record = state.records[command.order_id]
        order = record.order
        if order is None:
            raise NeedsOwnTransaction
        if order.completed_at is not None:
            return repeated_completion(command, order=order, known=order.completed_at)
        member, before = books_of(occasion, record=record, order=order, members=state.members)
        books = complete(before, completed_at=command.completed_at)
        note_completed(occasion, order=books.order)
        state.members[member.id] = settle(occasion, member.with_account(books.account))
        state.changed.add(member.id)
        state.orders.append(books.order)
        record.order = books.order
        return Completion(
            order_id=order.order_id, completed_at=command.completed_at, order=books.order
        )

    async def save(self, connection: Connection, state: Completing, saving: Saving) -> None:
        """Write what was completed, with its replies and events."""
        await save_completions(
            connection,
            members=[state.members[member_id] for member_id in sorted(state.changed)],
            orders=state.orders,
            saving=saving,
        )
