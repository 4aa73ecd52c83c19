"""Vouchers: issuing them in bulk, redeeming one, and marking those that lapsed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.loyalty.domain.voucher_codes import new_code
from services.loyalty.domain.voucher_templates import (
    Template,
    VoucherStockExhausted,
    VoucherTemplateClosed,
    refuse_over_limit,
    refuse_unknown,
)
from services.loyalty.domain.vouchers import (
    OrderGone,
    OrderOfAnother,
    VoucherExclusive,
    VoucherForNewCustomers,
    is_repeated,
    redeemed_discount_fen,
)
from services.loyalty.operations.points import lock_settled
from services.loyalty.store import rewards as reward_store
from services.loyalty.store import voucher_templates as template_store
from services.loyalty.store import vouchers as store
from services.loyalty.store.books import save_members
from services.loyalty.store.orders import find_records, hold_order
from services.loyalty.store.tables import Voucher
from services.loyalty.store.voucher_uses import go_together, has_ordered
from services.loyalty.store.vouchers import NewVoucher, VoucherView
from shared.contracts.loyalty import VoucherIssued, VoucherRedeemed
from shared.db import Transaction
from shared.kernel.errors import NotFound
from shared.kernel.ids import new_id

ISSUE_SOURCE: Final = "issue"
_EXPIRED_AT_ONCE: Final = 500


@dataclass(frozen=True, kw_only=True)
class Issue:
    """Vouchers that were issued together. Each one's `source_id` is `<issue>:<member>`."""

    id: str
    template: Template
    vouchers: Sequence[NewVoucher]


@dataclass(frozen=True, kw_only=True)
class VoucherUse:
    """A voucher as it stands after a redemption; `repeated` when this order had used it before."""

    view: VoucherView
    repeated: bool


async def issue_vouchers(
    transaction: Transaction, *, template_id: str, member_ids: Sequence[str]
) -> Issue:
    """Issue one voucher to each of these members, all or none.

    Raises MembersUnknown, NotFound, VoucherTemplateClosed, VoucherTemplateOver,
    VoucherStockExhausted and VoucherLimitReached.
    """
    session = transaction.session
    known = await reward_store.states_of_members(session, member_ids=list(member_ids))
    refuse_unknown(member_ids, known=known)
    template = await _take_stock(transaction, template_id=template_id, count=len(member_ids))
    if template.per_member_limit is not None:
        # Counted under the template's lock, so that no other issue comes in between.
        owned = await store.count_by_member(session, template_id=template_id, member_ids=member_ids)
        refuse_over_limit(template, owned=owned)
    issue_id = new_id("iss", at=transaction.now)
    vouchers = await put_into_wallets(
        transaction,
        template=template,
        source_kind=ISSUE_SOURCE,
        wallets=[(member_id, f"{issue_id}:{member_id}") for member_id in member_ids],
    )
    return Issue(id=issue_id, template=template, vouchers=vouchers)


async def put_into_wallets(
    transaction: Transaction,
    *,
    template: Template,
    source_kind: str,
    wallets: Sequence[tuple[str, str]],
) -> list[NewVoucher]:
    """Issue vouchers whose stock was taken already, to (member, source id) pairs; record them."""
    period = template.period(now=transaction.now)
    vouchers = [
        NewVoucher(
            id=new_id("vch", at=transaction.now),
            code=new_code(),
            member_id=member_id,
            source_id=source_id,
        )
        for member_id, source_id in wallets
    ]
    await store.add_vouchers(
        transaction.session,
        vouchers,
        template=template,
        period=period,
        source_kind=source_kind,
        issued_at=transaction.now,
    )
    for one in vouchers:
        issued = VoucherIssued(
            voucher_id=one.id,
            member_id=one.member_id,
            template_id=template.id,
            amount_fen=template.worth.amount_fen,
            source_kind=source_kind,
            source_id=one.source_id,
            expires_at=period.expires_at,
        )
        transaction.record(issued, subject=one.member_id)
    return vouchers


async def redeem_voucher(
    transaction: Transaction, *, voucher_id: str, order_id: str, order_fen: int
) -> VoucherUse:
    """Use a voucher on an order, once; the order may be reported later.

    Raises NotFound and the reasons for which a voucher cannot be used (domain/vouchers.py).
    """
    session = transaction.session
    # As everybody does: the order, the account, the voucher. So nobody who sees what comes back
    # of the order overlooks this voucher, and it does not come after all has gone back.
    await hold_order(session, order_id=order_id)
    view = await _held(transaction, voucher_id=voucher_id)
    voucher = view.voucher
    standing = store.standing_of(voucher)
    if is_repeated(standing, order_id=order_id, order_fen=order_fen):
        return VoucherUse(view=view, repeated=True)
    discount_fen = redeemed_discount_fen(standing, order_fen=order_fen, now=transaction.now)
    await _refuse_order(transaction, voucher=voucher, order_id=order_id)
    if standing.worth.kind == "new_customer" and await has_ordered(
        session, member_id=voucher.member_id, besides=order_id
    ):
        raise VoucherForNewCustomers
    voucher.state = "redeemed"
    voucher.order_id = order_id
    voucher.order_fen = order_fen
    voucher.discount_fen = discount_fen
    voucher.redeemed_at = transaction.now
    await store.save_voucher(session, voucher)
    transaction.record(_redeemed(voucher, order_id=order_id), subject=voucher.member_id)
    return VoucherUse(view=view, repeated=False)


async def _held(transaction: Transaction, *, voucher_id: str) -> VoucherView:
    """A voucher under the locks of its member's account and its own. Raises NotFound."""
    session = transaction.session
    while True:
        owner_id = await store.owner_of_voucher(session, voucher_id=voucher_id)
        if owner_id is None:
            raise NotFound
        member = await lock_settled(transaction, member_id=owner_id, lots="due")
        await save_members(session, [member])
        view = await store.find_voucher(session, voucher_id=voucher_id, lock=True)
        assert view is not None, "vouchers stay on record"
        if view.voucher.member_id == owner_id:  # else a merge or its reversal came in between
            return view


async def _refuse_order(transaction: Transaction, *, voucher: Voucher, order_id: str) -> None:
    """Raise OrderGone, OrderOfAnother or VoucherExclusive; the order is held by the caller."""
    session = transaction.session
    record = (await find_records(session, order_ids=[order_id]))[order_id]
    if record.cancellation is not None or (record.order is not None and record.order.is_gone):
        raise OrderGone
    if record.order is not None and record.order.member_id != voucher.member_id:
        raise OrderOfAnother
    if not await go_together(session, voucher_id=voucher.id, order_id=order_id):
        raise VoucherExclusive


async def expire_vouchers(transaction: Transaction) -> int:
    """Mark some unused vouchers whose last day is over; how many.

    They read as expired and are refused from that moment on anyway: this keeps the rows true.
    """
    return await store.expire_vouchers(
        transaction.session, now=transaction.now, limit=_EXPIRED_AT_ONCE
    )


async def _take_stock(transaction: Transaction, *, template_id: str, count: int) -> Template:
    session = transaction.session
    template = await template_store.take_stock(session, template_id=template_id, count=count)
    if template is not None:
        return template
    found = await template_store.find_template(session, template_id=template_id)
    if found is None:
        raise NotFound
    if found.state != "active":
        raise VoucherTemplateClosed
    left = (found.stock or 0) - found.issued
    raise VoucherStockExhausted(asked=count, left=max(0, left))


def _redeemed(voucher: Voucher, *, order_id: str) -> VoucherRedeemed:
    return VoucherRedeemed(
        voucher_id=voucher.id,
        member_id=voucher.member_id,
        order_id=order_id,
        source_kind=voucher.source_kind,
        source_id=voucher.source_id,
    )
