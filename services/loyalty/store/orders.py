"""Orders: held by their id, read with the rules they earned under and all reported about them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.order_cancellations import Cancellation, CancellationFacts
from services.loyalty.domain.order_decisions import Waiting
from services.loyalty.domain.orders import Order, OrderItem
from services.loyalty.domain.programme import read_programme
from services.loyalty.domain.refunds import Refund, RefundFacts
from shared.lanes import Connection
from shared.sql import execute

_HOLD: Final = text("select pg_advisory_xact_lock(hashtextextended(:order_id, 42))")
#: Keeps others off some ids, which are sorted, so that nobody waits in a ring.
HOLD_ORDERS: Final = """
    select pg_advisory_xact_lock(hashtextextended(order_id, 42))
    from unnest({ids}) as given(order_id)
"""
_HOLD_MANY: Final = HOLD_ORDERS.format(ids="$1::text[]")
#: Finds what is on record under the ids `$1`, for `records_of`.
FIND_ORDERS: Final = """
    select given.order_id as about, orders.*, programme.rules::text as rules,
      early.completed_at as early_completed_at,
      called_off.facts_hash as called_off_hash, called_off.reason as called_off_reason,
      called_off.cancelled_at as called_off_at, called_off.member_id as called_off_member_id,
      called_off.recorded_at as called_off_recorded_at,
      called_off.applied_at as called_off_applied_at,
      called_off.applied_fen as called_off_fen,
      called_off.clawed_back_points as called_off_clawed_back,
      called_off.debt_points as called_off_debt, called_off.returned_points as called_off_returned,
      called_off.growth as called_off_growth,
      refunds.refund_id, refunds.member_id as refund_member_id, refunds.amount_fen,
      refunds.items as refund_items, refunds.facts_hash as refund_hash, refunds.applied_fen,
      refunds.refunded_total_fen, refunds.clawed_back_points as refund_clawed_back,
      refunds.debt_points, refunds.returned_points, refunds.growth as refund_growth,
      refunds.items_match, refunds.refunded_at, refunds.recorded_at as refund_recorded_at,
      refunds.applied_at
    from unnest($1::text[]) as given(order_id)
    left join orders on orders.order_id = given.order_id
    left join programme_versions as programme on programme.version = orders.programme_version
    left join early_completions as early on early.order_id = given.order_id
    left join order_cancellations as called_off on called_off.order_id = given.order_id
    left join refunds on refunds.order_id = given.order_id
    order by given.order_id, refunds.refunded_at, refunds.refund_id
"""


@dataclass(kw_only=True)
class OrderRecord:
    """All that is on record under an order's id, whether the order itself is known or not."""

    order: Order | None
    cancellation: Cancellation | None
    early_completion: datetime | None
    #: In the order in which the money went back.
    refunds: list[Refund] = field(default_factory=list)

    @property
    def waiting(self) -> Waiting:
        """What was reported before the order, and has not counted yet."""
        cancellation = self.cancellation
        if cancellation is not None and cancellation.applied_at is not None:
            cancellation = None
        return Waiting(
            refunds=tuple(one for one in self.refunds if one.applied_at is None),
            cancellation=cancellation,
            completed_at=self.early_completion,
        )

    @property
    def counted(self) -> tuple[Refund, ...]:
        """The refunds that have counted."""
        return tuple(one for one in self.refunds if one.applied_at is not None)

    def refund(self, refund_id: str) -> Refund | None:
        """The refund of an id, if it is one of this order."""
        return next((one for one in self.refunds if one.facts.refund_id == refund_id), None)


async def hold_order(session: AsyncSession, *, order_id: str) -> None:
    """Keep others off an order's id until commit, whether the order is known or not.

    Taken before any account, so that an order and its early refund cannot miss each other.
    """
    await execute(session, _HOLD, {"order_id": order_id})


async def find_records(
    session: AsyncSession, *, order_ids: Sequence[str]
) -> Mapping[str, OrderRecord]:
    """What is on record under each of these ids, in one statement."""
    connection = await session.connection()
    found = await connection.exec_driver_sql(FIND_ORDERS, (list(order_ids),))
    return records_of(found.mappings())


async def read_records(
    connection: Connection, *, order_ids: Sequence[str]
) -> Mapping[str, OrderRecord]:
    """The same, for a batch of hot requests."""
    return records_of(await connection.fetch(FIND_ORDERS, list(order_ids)))


async def hold_orders(connection: Connection, *, order_ids: Sequence[str]) -> None:
    """Keep others off these ids until commit, in one order for everybody."""
    await connection.fetch(_HOLD_MANY, sorted(set(order_ids)))


def records_of(rows: Iterable[Any]) -> dict[str, OrderRecord]:
    """What the rows of `FIND_ORDERS` say, by the id that was asked for."""
    found: dict[str, OrderRecord] = {}
    for row in rows:
        about = row["about"]
        if about not in found:
            found[about] = OrderRecord(
                order=None if row["order_id"] is None else _order(row),
                cancellation=None if row["called_off_hash"] is None else _cancellation(row),
                early_completion=row["early_completed_at"],
            )
        if row["refund_id"] is not None:
            found[about].refunds.append(_refund(row))
    return found


async def find_record(session: AsyncSession, *, order_id: str) -> OrderRecord:
    """What is on record under one id."""
    return (await find_records(session, order_ids=[order_id]))[order_id]


def _order(row: Any) -> Order:
    return Order(
        order_id=row["order_id"],
        member_id=row["member_id"],
        paid_fen=row["paid_fen"],
        discount_fen=row["discount_fen"],
        refunded_fen=row["refunded_fen"],
        facts_hash=row["facts_hash"],
        programme=read_programme(row["programme_version"], row["rules"]),
        multiplier_percent=row["multiplier_percent"],
        earned_points=row["earned_points"],
        clawed_back_points=row["clawed_back_points"],
        growth=row["growth"],
        tier_at_recording=row["tier_at_recording"],
        refunded_at_recording_fen=row["refunded_at_recording_fen"] or 0,
        import_id=row["import_id"],
        paid_at=row["paid_at"],
        completed_at=row["completed_at"],
        recorded_at=row["recorded_at"],
        cancelled_at=row["cancelled_at"],
        came_completed=row["came_completed"],
        came_cancelled=row["came_cancelled"],
        items=_items(row["items"]),
        reservation_id=row["reservation_id"],
    )


def _cancellation(row: Any) -> Cancellation:
    return Cancellation(
        facts=CancellationFacts(
            order_id=row["about"],
            reason=row["called_off_reason"],
            cancelled_at=row["called_off_at"],
        ),
        facts_hash=row["called_off_hash"],
        member_id=row["called_off_member_id"],
        recorded_at=row["called_off_recorded_at"],
        applied_at=row["called_off_applied_at"],
        applied_fen=row["called_off_fen"],
        clawed_back_points=row["called_off_clawed_back"],
        debt_points=row["called_off_debt"],
        returned_points=row["called_off_returned"],
        growth=row["called_off_growth"],
    )


def _refund(row: Any) -> Refund:
    return Refund(
        facts=RefundFacts(
            refund_id=row["refund_id"],
            order_id=row["about"],
            amount_fen=row["amount_fen"],
            items=None if row["refund_items"] is None else _items(row["refund_items"]),
            refunded_at=row["refunded_at"],
        ),
        facts_hash=row["refund_hash"],
        member_id=row["refund_member_id"],
        recorded_at=row["refund_recorded_at"],
        applied_at=row["applied_at"],
        applied_fen=row["applied_fen"],
        refunded_total_fen=row["refunded_total_fen"],
        clawed_back_points=row["refund_clawed_back"],
        debt_points=row["debt_points"],
        returned_points=row["returned_points"],
        growth=row["refund_growth"],
        items_match=row["items_match"],
    )


def _items(stored: list[dict[str, Any]]) -> tuple[OrderItem, ...]:
    return tuple(OrderItem(**item) for item in stored)
