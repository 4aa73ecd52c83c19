"""Erasing a member: the person goes, the books stay and close at nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.loyalty.domain.erasure import write_off
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.members import MemberMerged, MemberNotFound
from services.loyalty.operations.points import settle, stamp_of
from services.loyalty.operations.reservations import release
from services.loyalty.operations.rewards import close_frozen
from services.loyalty.store import erasure as store
from services.loyalty.store.accounts import lock_members
from services.loyalty.store.books import save_members
from services.loyalty.store.merges import lock_rows
from services.loyalty.store.tables import Voucher
from shared.contracts.loyalty import MemberEnrolled, MemberErased, OrderPaid, VoucherVoided
from shared.db import Transaction
from shared.kernel.clock import business_day

#: Why vouchers of a member who is erased are voided, as a code.
_REASON: Final = "member_erased"


@dataclass(frozen=True, kw_only=True)
class Erased:
    """Who was erased, and when."""

    member_id: str
    erased_at: datetime


async def erase_member(transaction: Transaction, *, member_id: str, gone: bytes) -> Erased:
    """Erase a member, with all who were merged into them; once is as good as twice.

    Holds are released, vouchers voided, points and debt written off, and what is personal goes.
    `gone` is answered from now on to whoever repeats a request whose reply showed the member.
    Raises MemberNotFound, and MemberMerged for one who lives on in another.
    """
    session = transaction.session
    everyone = await _lock_everyone(transaction, member_id=member_id)
    member = (await lock_rows(session, member_ids=everyone))[member_id]
    if member.erased_at is not None:
        return Erased(member_id=member_id, erased_at=member.erased_at)
    if member.merged_into is not None:
        raise MemberMerged(merged_into=member.merged_into)
    for reservation_id in await store.open_reservations(session, member_ids=everyone):
        await release(transaction, reservation_id=reservation_id)
    for voucher in await store.lock_open_vouchers(session, member_ids=everyone):
        await _void(transaction, voucher)
    await _write_off(transaction, member_ids=everyone)
    await session.flush()
    await store.erase(
        session,
        member_ids=everyone,
        events=[MemberEnrolled.type, OrderPaid.type],
        reply=gone,
        now=transaction.now,
        today=business_day(transaction.now),
    )
    for one in everyone:
        event = MemberErased(member_id=one, erased_at=transaction.now)
        transaction.record(event, subject=one)
    return Erased(member_id=member_id, erased_at=transaction.now)


async def _lock_everyone(transaction: Transaction, *, member_id: str) -> Sequence[str]:
    """The accounts of the member and of those merged into them, locked in order of their ids.

    Who they are is read again under the member's lock, without which nobody is merged into them.
    """
    session, now = transaction.session, transaction.now
    while True:
        before = await store.merged_into(session, member_id=member_id)
        everyone = sorted({member_id, *before})
        locked = await lock_members(session, member_ids=everyone, now=now, lots="due")
        if member_id not in locked:
            raise MemberNotFound
        if await store.merged_into(session, member_id=member_id) == before:
            return everyone


async def _void(transaction: Transaction, voucher: Voucher) -> None:
    if voucher.state == "frozen":
        await close_frozen(transaction, voucher=voucher, used=False)
        return
    voucher.state, voucher.reason = "voided", _REASON
    voucher.closed_at = transaction.now
    voided = VoucherVoided(
        voucher_id=voucher.id,
        member_id=voucher.member_id,
        source_kind=voucher.source_kind,
        source_id=voucher.source_id,
        reason=_REASON,
    )
    transaction.record(voided, subject=voucher.member_id)


async def _write_off(transaction: Transaction, *, member_ids: Sequence[str]) -> None:
    """Close the books at nothing. Loaded again: releasing holds gave points back."""
    locked = await lock_members(
        transaction.session, member_ids=member_ids, now=transaction.now, lots="open"
    )
    closed = []
    for member_id, member in locked.items():
        settled = settle(transaction, member)
        account = write_off(
            settled.account,
            cause=Cause(kind="erasure", id=member_id),
            programme_version=settled.programme.version,
            stamp=stamp_of(transaction),
        )
        closed.append(settled.with_account(account))
    await save_members(transaction.session, closed)
