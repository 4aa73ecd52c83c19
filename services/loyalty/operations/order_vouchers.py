"""Vouchers used on an order of which nothing is kept: they go back into the wallet."""

from services.loyalty.domain.orders import Order
from services.loyalty.store.voucher_uses import vouchers_used_on
from services.loyalty.store.vouchers import save_voucher
from shared.contracts.loyalty import VoucherRestored
from shared.db import Transaction


async def return_vouchers(transaction: Transaction, *, order: Order) -> None:
    """Make the vouchers used on an order usable again, unless their last day is over.

    The caller holds the order and the account of its member, who is not erased: nobody would void
    what comes back after that. A voucher whose reward was taken back after it was used has been
    written off, and stays used.
    """
    session = transaction.session
    for voucher in await vouchers_used_on(
        session, member_id=order.member_id, order_id=order.order_id, now=transaction.now
    ):
        voucher.state = "issued"
        voucher.reservation_id = None
        voucher.order_id = voucher.order_fen = voucher.discount_fen = None
        voucher.redeemed_at = None
        await save_voucher(session, voucher)
        restored = VoucherRestored(
            voucher_id=voucher.id,
            member_id=voucher.member_id,
            order_id=order.order_id,
            source_kind=voucher.source_kind,
            source_id=voucher.source_id,
        )
        transaction.record(restored, subject=voucher.member_id)
