"""What segmentation hears from loyalty: one line per event type, to one operation."""

from services.segmentation.domain.facts import PaidOrder, Refund
from services.segmentation.operations import facts
from shared.contracts.loyalty import (
    MemberEnrolled,
    MemberErased,
    MembersImported,
    OrderPaid,
    OrderRefunded,
    OrdersImported,
)
from shared.db import Transaction
from shared.events.applying import Handlers, on
from shared.kernel.clock import business_day


async def _member_enrolled(transaction: Transaction, data: MemberEnrolled) -> None:
    since = business_day(data.enrolled_at)
    await facts.know_members(transaction, member_ids=[data.member_id], since=since)


async def _members_imported(transaction: Transaction, data: MembersImported) -> None:
    since = business_day(data.imported_at)
    await facts.know_members(transaction, member_ids=data.member_ids, since=since)


async def _member_erased(transaction: Transaction, data: MemberErased) -> None:
    await facts.forget_person(transaction, member_id=data.member_id, erased_at=data.erased_at)


async def _order_paid(transaction: Transaction, data: OrderPaid) -> None:
    order = PaidOrder(
        order_id=data.order_id,
        member_id=data.member_id,
        paid_fen=data.paid_fen,
        paid_at=data.paid_at,
    )
    await facts.record_order(transaction, order=order)


async def _order_refunded(transaction: Transaction, data: OrderRefunded) -> None:
    refund = Refund(
        refund_id=data.refund_id,
        order_id=data.order_id,
        member_id=data.member_id,
        amount_fen=data.amount_fen,
        refunded_at=data.refunded_at,
    )
    await facts.record_refund(transaction, refund=refund)


async def _orders_imported(transaction: Transaction, data: OrdersImported) -> None:
    orders = [
        PaidOrder(
            order_id=order.order_id,
            member_id=order.member_id,
            paid_fen=order.paid_fen,
            refunded_fen=order.refunded_fen,
            paid_at=order.paid_at,
        )
        for order in data.orders
    ]
    await facts.import_orders(transaction, orders=orders)


LOYALTY: Handlers = dict(
    [
        on(MemberEnrolled, _member_enrolled),
        on(MemberErased, _member_erased),
        on(MembersImported, _members_imported),
        on(OrderPaid, _order_paid),
        on(OrderRefunded, _order_refunded),
        on(OrdersImported, _orders_imported),
    ]
)
