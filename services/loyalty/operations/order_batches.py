"""Recording paid orders in batches: the ordinary case of the hottest operation.

What is unusual goes the ordinary way, one by one (`operations.orders.record_order`): an order with
a reservation, and one of which something went back before it was known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.loyalty.domain.members import MemberNotFound
from services.loyalty.domain.order_decisions import Waiting, record
from services.loyalty.domain.orders import Order, OrderFacts
from services.loyalty.operations.activity import renewed
from services.loyalty.operations.orders import RecordedOrder, note_recorded, repeated_order
from services.loyalty.operations.points import settle, stamp_of
from services.loyalty.operations.tiers import tier_move
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.order_batches import save_recorded
from services.loyalty.store.orders import OrderRecord, hold_orders, read_records
from services.loyalty.store.readings import MemberReader
from services.loyalty.store.tables import TierChange
from shared.batches import NeedsCare, Saving
from shared.db import Occasion
from shared.kernel.ids import new_id
from shared.lanes import Connection

_NOTHING_WAITS = Waiting()


@dataclass(kw_only=True)
class Recording:
    """The members of a batch as they are by now, and the orders that were recorded."""

    members: dict[str, LockedMember]
    #: What is on record under the orders' ids; None when it has not been asked.
    records: Mapping[str, OrderRecord] | None
    changed: set[str] = field(default_factory=set)
    orders: dict[str, tuple[Order, OrderFacts]] = field(default_factory=dict)
    tier_changes: list[TierChange] = field(default_factory=list)


class OrderRecordings:
    """The batch operation: two round trips and one commit for any number of orders."""

    def __init__(self, reader: MemberReader) -> None:
        self._reader = reader

    def subject(self, command: OrderFacts) -> str:
        """The member who bought."""
        return command.member_id

    async def load(
        self,
        connection: Connection,
        commands: Sequence[OrderFacts],
        *,
        now: datetime,
        careful: bool,
    ) -> Recording:
        """Read the members; carefully, also what is on record under the orders' ids."""
        records = None
        if careful:
            ids = [one.order_id for one in commands]
            await hold_orders(connection, order_ids=ids)
            records = await read_records(connection, order_ids=ids)
        members = await self._reader.read(
            connection,
            spending={one.member_id: 0 for one in commands},
            now=now,
            locked=careful,
            growth=True,
        )
        return Recording(members=members, records=records)

    def decide(self, state: Recording, command: OrderFacts, occasion: Occasion) -> RecordedOrder:
        """Record a paid order: points pending, growth at once, tier at once.

        Raises MemberNotFound, MemberMerged, AlreadyRecordedDifferently, and NeedsCare for what is
        not ordinary.
        """
        waiting = _NOTHING_WAITS
        if state.records is not None:
            known = state.records[command.order_id]
            if known.order is not None:
                return repeated_order(known.order, facts=command)
            waiting = known.waiting
        if waiting.takes_back or command.order_id in state.orders:
            raise NeedsCare
        found = state.members.get(command.member_id)
        if found is None:
            raise MemberNotFound
        if state.records is None and found.state != "active":
            raise NeedsCare  # the order may be on record from before they were merged or erased
        member = settle(occasion, found.active())
        member = renewed(member, at=command.paid_at, now=occasion.now)
        recorded = record(
            member.account,
            standing=member.standing,
            programme=member.programme,
            facts=command,
            waiting=waiting,
            spent=None,
            lot_id=new_id("lot", at=occasion.now),
            stamp=stamp_of(occasion),
        )
        cause, books = recorded.earned.cause, recorded.books
        note_recorded(occasion, member=member, facts=command, recorded=recorded)
        moved = member.with_account(books.account).with_standing(books.standing)
        change = tier_move(
            occasion, before=member, after=moved, cause_kind=cause.kind, cause_id=cause.id
        )
        # Only what is completed already can be due by now.
        due = books.order.available_at is not None
        state.members[member.id] = settle(occasion, moved) if due else moved
        state.changed.add(member.id)
        state.orders[command.order_id] = (books.order, command)
        if change is not None:
            state.tier_changes.append(change)
        return RecordedOrder(order=books.order, repeated=False)

    async def save(self, connection: Connection, state: Recording, saving: Saving) -> None:
        """Write what was recorded, with its replies and events."""
        await save_recorded(
            connection,
            members=[state.members[member_id] for member_id in sorted(state.changed)],
            orders=list(state.orders.values()),
            tier_changes=state.tier_changes,
            saving=saving,
            quick=state.records is None,
        )
