"""Door 2: what referral hears from loyalty, one line per event type."""

from typing import Final

from services.referral.domain.facts import HeardEnrolment, HeardOrder, HeardRefund
from services.referral.domain.orders import PaidOrder, Refund
from services.referral.domain.rewards import VoucherState
from services.referral.operations import answers, facts
from shared.contracts.loyalty import (
    ImportedOrder,
    MemberEnrolled,
    MemberErased,
    OrderCompleted,
    OrderPaid,
    OrderRefunded,
    OrdersImported,
    RewardRefused,
    RewardReversed,
    VoucherIssued,
    VoucherRedeemed,
    VoucherRestored,
    VoucherVoided,
)
from shared.db import Transaction
from shared.events.applying import Handlers, on

#: How loyalty names the cause of vouchers that were issued for our rewards.
_OURS: Final = "referral_reward"


async def _member_enrolled(transaction: Transaction, data: MemberEnrolled) -> None:
    enrolment = HeardEnrolment(
        member_id=data.member_id,
        enrolled_at=data.enrolled_at,
        code_given=data.referral_code,
        device_id=data.device_id,
        previously_erased=data.previously_erased,
    )
    await facts.hear_enrolment(transaction, enrolment=enrolment)


async def _member_erased(transaction: Transaction, data: MemberErased) -> None:
    await facts.hear_erasure(transaction, member_id=data.member_id, erased_at=data.erased_at)


async def _order_paid(transaction: Transaction, data: OrderPaid) -> None:
    order = HeardOrder(
        member_id=data.member_id,
        order=PaidOrder(order_id=data.order_id, paid_fen=data.paid_fen, paid_at=data.paid_at),
        device_id=data.device_id,
        payer_hash=data.payer_hash,
    )
    await facts.hear_orders(transaction, orders=[order])


async def _order_completed(transaction: Transaction, data: OrderCompleted) -> None:
    await facts.hear_completion(
        transaction,
        order_id=data.order_id,
        member_id=data.member_id,
        completed_at=data.completed_at,
    )


async def _order_refunded(transaction: Transaction, data: OrderRefunded) -> None:
    refund = HeardRefund(
        member_id=data.member_id,
        refund=Refund(
            refund_id=data.refund_id,
            order_id=data.order_id,
            amount_fen=data.amount_fen,
            in_full=data.in_full,
        ),
        refunded_at=data.refunded_at,
    )
    await facts.hear_refund(transaction, refund=refund)


async def _orders_imported(transaction: Transaction, data: OrdersImported) -> None:
    await facts.hear_orders(
        transaction,
        orders=[_imported(order) for order in data.orders],
        refunds=[_imported_refund(order) for order in data.orders if order.refunded_fen],
    )


def _imported(order: ImportedOrder) -> HeardOrder:
    return HeardOrder(
        member_id=order.member_id,
        order=PaidOrder(order_id=order.order_id, paid_fen=order.paid_fen, paid_at=order.paid_at),
    )


def _imported_refund(order: ImportedOrder) -> HeardRefund:
    """A history sums up the refunds of an order: one refund, under a name no other can have."""
    return HeardRefund(
        member_id=order.member_id,
        refund=Refund(
            refund_id=f"import/{order.order_id}",
            order_id=order.order_id,
            amount_fen=order.refunded_fen,
            in_full=order.refunded_fen >= order.paid_fen,
        ),
    )


async def _voucher(
    transaction: Transaction,
    data: VoucherIssued | VoucherRedeemed | VoucherVoided,
    *,
    state: VoucherState,
) -> None:
    if data.source_kind == _OURS:
        await answers.hear_voucher(
            transaction, reward_id=data.source_id, voucher_id=data.voucher_id, state=state
        )


async def _voucher_issued(transaction: Transaction, data: VoucherIssued) -> None:
    await _voucher(transaction, data, state="issued")


async def _voucher_redeemed(transaction: Transaction, data: VoucherRedeemed) -> None:
    await _voucher(transaction, data, state="redeemed")


async def _voucher_voided(transaction: Transaction, data: VoucherVoided) -> None:
    await _voucher(transaction, data, state="voided")


async def _voucher_restored(transaction: Transaction, data: VoucherRestored) -> None:
    if data.source_kind == _OURS:
        await answers.hear_restored(transaction, reward_id=data.source_id)


async def _reward_refused(transaction: Transaction, data: RewardRefused) -> None:
    await answers.hear_refusal(transaction, reward_id=data.reward_id, reason=data.reason)


async def _reward_reversed(transaction: Transaction, data: RewardReversed) -> None:
    await answers.hear_reversal(
        transaction, reward_id=data.reward_id, outcome=data.outcome, voucher_id=data.voucher_id
    )


FROM_LOYALTY: Handlers = dict(
    [
        on(MemberEnrolled, _member_enrolled),
        on(MemberErased, _member_erased),
        on(OrderPaid, _order_paid),
        on(OrderCompleted, _order_completed),
        on(OrderRefunded, _order_refunded),
        on(OrdersImported, _orders_imported),
        on(VoucherIssued, _voucher_issued),
        on(VoucherRedeemed, _voucher_redeemed),
        on(VoucherRestored, _voucher_restored),
        on(VoucherVoided, _voucher_voided),
        on(RewardRefused, _reward_refused),
        on(RewardReversed, _reward_reversed),
    ]
)
