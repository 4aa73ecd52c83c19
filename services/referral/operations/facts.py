"""Taking facts in: each is kept once, then its member's referral is decided about anew.

Any order and any repetition of facts ends in the same state: what is decided depends on those
kept, and repeating a decision changes nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from services.referral.domain.facts import HeardEnrolment, HeardOrder, HeardRefund
from services.referral.operations.referrals import begin_referral, reconcile
from services.referral.store import codes as code_store
from services.referral.store import facts as store
from services.referral.store import referrals as referral_store
from shared.db import Transaction


async def hear_enrolment(transaction: Transaction, *, enrolment: HeardEnrolment) -> None:
    """A member enrolled; with a code, that is where a referral begins."""
    await store.keep_enrolment(transaction.session, enrolment=enrolment, now=transaction.now)
    if enrolment.code_given:
        await begin_referral(transaction, enrolment=enrolment, code_given=enrolment.code_given)


async def hear_orders(
    transaction: Transaction,
    *,
    orders: Sequence[HeardOrder],
    refunds: Sequence[HeardRefund] = (),
) -> None:
    """Orders were paid; those of an imported history may come with what was refunded of them."""
    await store.keep_orders(transaction.session, orders=orders, now=transaction.now)
    if refunds:
        await store.keep_refunds(transaction.session, refunds=refunds, now=transaction.now)
    await _reconcile_all(transaction, member_ids=[heard.member_id for heard in orders])


async def hear_completion(
    transaction: Transaction, *, order_id: str, member_id: str, completed_at: datetime
) -> None:
    """An order was received."""
    await store.keep_completion(
        transaction.session,
        order_id=order_id,
        member_id=member_id,
        completed_at=completed_at,
        now=transaction.now,
    )
    await _reconcile_all(transaction, member_ids=[member_id])


async def hear_refund(transaction: Transaction, *, refund: HeardRefund) -> None:
    """Money went back. The order may be unknown: the refund is kept until it comes."""
    await store.keep_refunds(transaction.session, refunds=[refund], now=transaction.now)
    await _reconcile_all(transaction, member_ids=[refund.member_id])


async def hear_erasure(transaction: Transaction, *, member_id: str, erased_at: datetime) -> None:
    """A person is gone: what could lead to them goes, and their codes are nobody's."""
    await store.erase_member(
        transaction.session, member_id=member_id, erased_at=erased_at, now=transaction.now
    )
    await code_store.remove_codes(transaction.session, member_id=member_id)


async def _reconcile_all(transaction: Transaction, *, member_ids: Sequence[str]) -> None:
    """Most members came by no referral, so one look-up settles it."""
    referees = await referral_store.referees_among(transaction.session, member_ids=member_ids)
    for member_id in referees:
        await reconcile(transaction, referee_id=member_id)
