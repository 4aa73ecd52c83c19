"""Reading all that a quote needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.baskets import Basket, BasketLine, Choice, Quote
from services.loyalty.domain.checkout import quote
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.store.reservations import vouchers_for_checkout
from services.loyalty.store.voucher_uses import has_ordered
from services.loyalty.store.wallet import find_wallet


@dataclass(frozen=True, kw_only=True)
class TimedQuote:
    """A quote and until when to trust it."""

    quote: Quote
    expires_at: datetime


async def quote_for(
    session: AsyncSession,
    *,
    member_id: str,
    lines: Sequence[BasketLine],
    choice: Choice,
    now: datetime,
) -> TimedQuote:
    """Price a basket for a member, holding nothing. Three queries, a fourth for who chose out of
    more vouchers than are read.

    Raises MemberNotFound, VoucherNotUsable and PointsNotUsable.
    """
    wallet = await find_wallet(session, member_id=member_id, now=now)
    if wallet is None:
        raise MemberNotFound
    owned = await vouchers_for_checkout(
        session, member_id=member_id, now=now, chosen=choice.voucher_ids
    )
    basket = Basket(
        lines=tuple(lines),
        has_ordered=await has_ordered(session, member_id=member_id),
        now=now,
    )
    rules = wallet.programme.checkout
    found = quote(
        basket,
        wallet=[voucher for _, voucher in owned],
        available=wallet.balances.available,
        rules=rules,
        choice=choice,
    )
    return TimedQuote(quote=found, expires_at=now + timedelta(minutes=rules.reservation_minutes))
