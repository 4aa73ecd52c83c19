"""What operators may do to lots: extend them, and give back what has lapsed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.loyalty.domain.expiries import day_end, extend, extended
from services.loyalty.domain.ledger import Balances
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.reinstatements import reinstate
from services.loyalty.operations.expiries import EndedMember, end_lots, record_ended
from services.loyalty.operations.points import lock_settled, stamp_of
from services.loyalty.store.books import save_members
from services.loyalty.store.entry_reasons import add_reason
from services.loyalty.store.lots import find_lot
from services.loyalty.store.redemptions import lots_held
from services.loyalty.store.tables import ExpiryExtension
from shared.contracts.loyalty import PointsReinstated
from shared.db import Transaction
from shared.kernel.errors import InvalidField, NotFound
from shared.kernel.ids import new_id


@dataclass(frozen=True, kw_only=True)
class Reinstated:
    """Points given back to a lot, and what of them repaid debt at once."""

    id: str
    lot: Lot
    points: int
    repaid: int
    balances: Balances


async def extend_lots(
    transaction: Transaction,
    *,
    member_id: str,
    lot_ids: Sequence[str] | None,
    expires_at: datetime,
    reason: str,
) -> Sequence[ExpiryExtension]:
    """Move the expiry of these lots, or of all that lapse before, to the end of a business day.

    Lots of which points are held are among them: these come back with the later day. Raises
    InvalidField for a moment that is past, MemberNotFound, MemberMerged, LotNotOpen,
    ExpiryNotLater and NothingToExtend.
    """
    until = _future(transaction, expires_at)
    settled = await _settled(transaction, member_id=member_id)
    ended = extend(
        settled.member.account,
        lot_ids=lot_ids,
        until=until,
        at=transaction.now,
        held=await lots_held(transaction.session, member_id=member_id),
    )
    member = settled.member.with_account(ended.account)
    kept = await record_ended(transaction, [EndedMember(member=member, ended=ended)], note=reason)
    await save_members(transaction.session, [member])
    return kept


async def reinstate_points(
    transaction: Transaction,
    *,
    member_id: str,
    lot_id: str,
    points: int | None,
    expires_at: datetime | None,
    reason: str,
) -> Reinstated:
    """Give lapsed points of a lot back, all of them if not said how many; they repay debt first.

    They are good to the end of a business day, or as long as an extension from today would make
    them. Raises InvalidField for a moment that is past, MemberNotFound, MemberMerged, NotFound for
    the lot, and MoreThanLapsed.
    """
    until = None if expires_at is None else _future(transaction, expires_at)
    settled = await _settled(transaction, member_id=member_id)
    member = settled.member
    found = await find_lot(transaction.session, member_id=member_id, lot_id=lot_id)
    if found is None:
        raise NotFound
    lapsed = found.lapsed + sum(one.points for one in settled.ended.lapses if one.lot_id == lot_id)
    cause = Cause(kind="reinstatement", id=new_id("rin", at=transaction.now))
    account = reinstate(
        member.account,
        lot=found.lot,
        lapsed=lapsed,
        points=lapsed if points is None else points,
        until=until or extended(day_end(transaction.now), rules=member.programme.lots),
        cause=cause,
        programme_version=member.programme.version,
        stamp=stamp_of(transaction),
    )
    await save_members(transaction.session, [member.with_account(account)])
    await add_reason(transaction.session, cause=cause, member_ids=[member_id], reason=reason)
    given = next(entry for entry in account.entries if entry.cause == cause)
    result = Reinstated(
        id=cause.id,
        lot=account.lots[lot_id],
        points=given.points,
        repaid=member.account.balances.debt - account.balances.debt,
        balances=account.balances,
    )
    _tell(transaction, member_id=member_id, result=result)
    return result


def _tell(transaction: Transaction, *, member_id: str, result: Reinstated) -> None:
    reinstated = PointsReinstated(
        reinstatement_id=result.id,
        member_id=member_id,
        lot_id=result.lot.id,
        points=result.points,
        expires_at=result.lot.expires_at,
    )
    transaction.record(reinstated, subject=member_id)


async def _settled(transaction: Transaction, *, member_id: str) -> EndedMember:
    """The member locked, with all done that was due before."""
    member = (await lock_settled(transaction, member_id=member_id, lots="open")).active()
    return (await end_lots(transaction, [member]))[0]


def _future(transaction: Transaction, expires_at: datetime) -> datetime:
    if expires_at <= transaction.now:
        raise InvalidField(pointer="/expires_at", reason="moment_in_past")
    return day_end(expires_at)
