"""Transfers: points given by one member to another."""

from dataclasses import dataclass
from datetime import timedelta

from services.loyalty.domain.ledger import Balances
from services.loyalty.domain.lots import Allocation, Cause
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.domain.points import taken_by
from services.loyalty.domain.transfers import (
    RecipientMerged,
    RecipientNotFound,
    TransferToSelf,
    check_limits,
    transfer,
)
from services.loyalty.operations.points import settle, stamp_of
from services.loyalty.operations.stale import release_ran_out
from services.loyalty.store import transfers as store
from services.loyalty.store.accounts import LockedMember, lock_members
from services.loyalty.store.books import save_members
from services.loyalty.store.entry_reasons import add_reason
from services.loyalty.store.tables import Transfer
from shared.contracts.loyalty import PointsTransferred
from shared.db import Transaction
from shared.kernel.clock import business_day, business_day_start
from shared.kernel.ids import new_id


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """A transfer, and of the sender: the balances after it and the lots that paid."""

    transfer: Transfer
    balances: Balances
    lots: tuple[Allocation, ...]


async def transfer_points(
    transaction: Transaction,
    *,
    member_id: str,
    to_member_id: str,
    points: int,
    reason: str | None,
) -> Transferred:
    """Give available points to another member, within the limits of the sender's business day.

    Both accounts are locked at once, in the order of their ids, so two opposite transfers never
    wait for each other; the day is counted under the sender's lock. What the sender holds past its
    time is released first. Raises MemberNotFound, MemberMerged, InsufficientPoints, and what
    domain.transfers refuses.
    """
    if member_id == to_member_id:
        raise TransferToSelf
    session = transaction.session
    locked = await lock_members(
        session, member_ids=[member_id, to_member_id], now=transaction.now, lots="open"
    )
    if member_id not in locked:
        raise MemberNotFound
    sender = settle(transaction, locked[member_id].active())
    sender = await release_ran_out(transaction, sender)
    receiver = settle(transaction, _recipient(locked.get(to_member_id)))
    await _require_limits(transaction, sender=sender, points=points)
    row = Transfer(
        id=new_id("trf", at=transaction.now),
        member_id=member_id,
        to_member_id=to_member_id,
        points=points,
        reason=reason,
        created_by=transaction.actor,
        created_at=transaction.now,
    )
    sender, receiver = _transfer(transaction, sender=sender, receiver=receiver, row=row)
    await save_members(session, [sender, receiver])
    store.add_transfer(session, row)
    await add_reason(
        session, cause=_cause(row), member_ids=[row.member_id, row.to_member_id], reason=row.reason
    )
    _record(transaction, row)
    paid = taken_by(sender.account, cause=_cause(row))
    return Transferred(transfer=row, balances=sender.account.balances, lots=tuple(paid))


def _recipient(found: LockedMember | None) -> LockedMember:
    """The recipient, if still a member. Raises RecipientMerged and RecipientNotFound."""
    if found is not None and found.merged_into is not None:
        raise RecipientMerged(merged_into=found.merged_into)
    if found is None or found.state != "active":
        raise RecipientNotFound
    return found


async def _require_limits(transaction: Transaction, *, sender: LockedMember, points: int) -> None:
    day = business_day(transaction.now)
    sent = await store.sent_between(
        transaction.session,
        member_id=sender.id,
        since=business_day_start(day),
        until=business_day_start(day + timedelta(days=1)),
    )
    check_limits(points=points, rules=sender.programme.points.transfer, sent=sent)


def _transfer(
    transaction: Transaction, *, sender: LockedMember, receiver: LockedMember, row: Transfer
) -> tuple[LockedMember, LockedMember]:
    paid, received = transfer(
        sender.account,
        receiver.account,
        points=row.points,
        cooled_by=transaction.now - sender.programme.points.transfer.cooling,
        cause=_cause(row),
        programme_version=sender.programme.version,
        new_lot_id=lambda: new_id("lot", at=transaction.now),
        stamp=stamp_of(transaction),
    )
    return sender.with_account(paid), receiver.with_account(received)


def _record(transaction: Transaction, row: Transfer) -> None:
    """Tell it of both: each is the subject of their own points."""
    sent = PointsTransferred(
        member_id=row.member_id,
        other_member_id=row.to_member_id,
        transfer_id=row.id,
        direction="sent",
        points=row.points,
    )
    received = PointsTransferred(
        member_id=row.to_member_id,
        other_member_id=row.member_id,
        transfer_id=row.id,
        direction="received",
        points=row.points,
    )
    transaction.record(sent, subject=row.member_id)
    transaction.record(received, subject=row.to_member_id)


def _cause(row: Transfer) -> Cause:
    return Cause(kind="transfer", id=row.id)
