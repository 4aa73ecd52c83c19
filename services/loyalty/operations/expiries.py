"""The end of lots: what is due lapses after a notice in time, else it is extended and reported."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.loyalty.domain.expiries import Ended, Extension, end_due
from services.loyalty.operations.points import settle, stamp_of
from services.loyalty.store.accounts import LockedMember, lock_members
from services.loyalty.store.books import save_members
from services.loyalty.store.expiries import members_with_lots_past_their_day
from services.loyalty.store.expiry_extensions import add_extensions
from services.loyalty.store.expiry_notices import close_notices, notices_of
from services.loyalty.store.tables import ExpiryExtension
from shared.contracts.loyalty import PointsExpired, PointsExpiryExtended
from shared.db import Transaction
from shared.jobs import apart
from shared.kernel.ids import new_id

_MEMBERS_PER_STEP: Final = 200
_NOTICES_PER_STEP: Final = 1000


@dataclass(frozen=True, kw_only=True)
class EndedMember:
    """A member after the end of lots, and what came to an end."""

    member: LockedMember
    ended: Ended


async def end_lots(
    transaction: Transaction, members: Sequence[LockedMember]
) -> Sequence[EndedMember]:
    """Settle what is past its day of members that are locked, released and loaded with open lots.

    Extensions and events are recorded; the caller saves the members. Nothing is read from the
    database when nothing is past its day.
    """
    now = transaction.now
    past = {member.id: min(days) for member in members if (days := _days_past(member, transaction))}
    notices = (
        await notices_of(
            transaction.session, member_ids=list(past), since=min(past.values()), now=now
        )
        if past
        else {}
    )
    results = []
    for member in members:
        ended = end_due(
            member.account,
            notices=notices.get(member.id, []),
            rules=member.programme.lots,
            stamp=stamp_of(transaction),
        )
        results.append(EndedMember(member=member.with_account(ended.account), ended=ended))
    await record_ended(transaction, results)
    return results


async def expire_due_lots(transaction: Transaction) -> int:
    """End the lots of some members that nobody else is at, and close stale notices; how many."""
    session, now = transaction.session, transaction.now
    past = await members_with_lots_past_their_day(
        session, now=now, but=transaction.left_out, limit=_MEMBERS_PER_STEP
    )

    async def end(ids: Sequence[str]) -> int:
        locked = await lock_members(session, member_ids=ids, now=now, lots="open", skip_locked=True)
        settled = [settle(transaction, member) for member in locked.values()]
        ended = await end_lots(transaction, settled)
        changed = [one.member for one in ended if one.member.account.touched]
        if changed:
            await save_members(session, changed)
        return len(changed)

    done = await apart(transaction, past, end)
    return done + await close_notices(session, now=now, limit=_NOTICES_PER_STEP)


async def record_ended(
    transaction: Transaction, results: Sequence[EndedMember], *, note: str | None = None
) -> Sequence[ExpiryExtension]:
    """Keep the extensions and tell what lapsed and what was extended; gives the extensions."""
    kept = []
    for one in results:
        for lapse in one.ended.lapses:
            expired = PointsExpired(
                member_id=one.member.id,
                lot_id=lapse.lot_id,
                points=lapse.points,
                notice_id=lapse.notice_id,
            )
            transaction.record(expired, subject=one.member.id)
        for extension in one.ended.extensions:
            row = _row(transaction, member_id=one.member.id, extension=extension, note=note)
            kept.append(row)
            transaction.record(_told(row), subject=row.member_id)
    await add_extensions(transaction.session, kept)
    return kept


def _days_past(member: LockedMember, transaction: Transaction) -> list[datetime]:
    return [
        lot.expires_at
        for lot in member.account.lots_in("available")
        if lot.expires_at is not None and lot.expires_at <= transaction.now
    ]


def _row(
    transaction: Transaction, *, member_id: str, extension: Extension, note: str | None
) -> ExpiryExtension:
    return ExpiryExtension(
        id=new_id("exx", at=transaction.now),
        member_id=member_id,
        lot_id=extension.lot_id,
        points=extension.points,
        reason=extension.reason,
        note=note,
        previous_expires_at=extension.before,
        expires_at=extension.after,
        occurred_at=extension.occurred_at,
        recorded_at=transaction.now,
        actor=transaction.actor,
    )


def _told(row: ExpiryExtension) -> PointsExpiryExtended:
    return PointsExpiryExtended(
        extension_id=row.id,
        member_id=row.member_id,
        lot_id=row.lot_id,
        points=row.points,
        reason=row.reason,
        previous_expires_at=row.previous_expires_at,
        expires_at=row.expires_at,
    )
