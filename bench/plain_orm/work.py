"""What both writes do through the ORM: lock, load, change objects, add rows."""

import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import col, desc, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bench.plain_orm.shapes import EventSubject, OutboxEvent
from services.loyalty.store.tables import Account, LotAllocation, PointEntry, ProgrammeVersion

ACTOR = "api_key:0123456789ab"


async def locked_account(session: AsyncSession, *, member_id: str) -> Account:
    """The member's account, locked until commit."""
    wanted = select(Account).where(Account.member_id == member_id).with_for_update()
    return (await session.exec(wanted)).one()


async def programme_in_force(session: AsyncSession) -> ProgrammeVersion:
    """The newest programme."""
    newest = select(ProgrammeVersion).order_by(desc(col(ProgrammeVersion.version))).limit(1)
    return (await session.exec(newest)).one()


async def add_entry(
    session: AsyncSession,
    *,
    account: Account,
    kind: str,
    accounts: tuple[str, str],
    points: int,
    cause: tuple[str, str],
    programme: ProgrammeVersion,
    parts: Mapping[str, int],
    occurred_at: datetime,
    now: datetime,
) -> PointEntry:
    """Number and chain an entry, with what each lot gave or got. Balances are changed already."""
    account.entry_seq += 1
    facts = (account.member_id, account.entry_seq, kind, points, cause, now)
    hashed = hashlib.sha256((account.entry_hash or bytes(32)) + repr(facts).encode()).digest()
    entry = PointEntry(
        member_id=account.member_id,
        seq=account.entry_seq,
        kind=kind,
        debit_account=accounts[0],
        credit_account=accounts[1],
        points=points,
        available_after=account.available,
        pending_after=account.pending,
        held_after=account.held,
        debt_after=account.debt,
        cause_kind=cause[0],
        cause_id=cause[1],
        programme_version=programme.version,
        occurred_at=occurred_at,
        recorded_at=now,
        actor=ACTOR,
        previous_hash=account.entry_hash,
        hash=hashed,
    )
    account.entry_hash = hashed
    session.add(entry)
    await session.flush()
    for lot_id, part in parts.items():
        session.add(
            LotAllocation(
                member_id=account.member_id, entry_seq=entry.seq, lot_id=lot_id, points=part
            )
        )
    return entry


async def add_event(
    session: AsyncSession, *, subject: str, kind: str, data: dict[str, Any], now: datetime
) -> None:
    """Note a fact in the outbox, under the subject's next number."""
    head = await session.get(EventSubject, subject, with_for_update=True)
    if head is None:
        head = EventSubject()
        head.subject = subject  # type: ignore[attr-defined]
        head.version = 0
        session.add(head)
    head.version += 1
    event = OutboxEvent()
    for name, value in {
        "event_id": uuid.uuid4(),
        "type": kind,
        "subject": subject,
        "subject_version": head.version,
        "occurred_at": now,
        "data": data,
    }.items():
        setattr(event, name, value)
    session.add(event)
