"""Reconciliations: the walk over all members, and the one statement that compares a slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.reconciliations import Disagreement
from services.loyalty.store.reconciliations_sql import COMPARE, SUMS
from services.loyalty.store.tables import LedgerReconciliation
from shared.sql import execute

_COUNT: Final = text("select count(*) from accounts")
_HIGHEST: Final = text("select coalesce(max(checkpoint), 0) from ledger_reconciliations")


@dataclass(frozen=True, kw_only=True)
class SliceFound:
    """What a slice of members holds, and who of them disagrees."""

    members: int
    entries: int
    disagreements: Sequence[Disagreement]
    #: Net credits by account, of the entries that the checkpoint covers.
    sums: Mapping[str, int]


async def add_reconciliation(session: AsyncSession, new: LedgerReconciliation) -> None:
    """Begin one, unless one is at work already."""
    await execute(
        session, insert(LedgerReconciliation).values(**new.model_dump()).on_conflict_do_nothing()
    )


async def count_accounts(session: AsyncSession) -> int:
    """How many accounts there are."""
    return int((await execute(session, _COUNT)).scalar_one())


async def claim_running(session: AsyncSession) -> LedgerReconciliation | None:
    """The reconciliation at work, locked until commit; None if there is none, or it is taken."""
    found = await session.exec(
        select(LedgerReconciliation)
        .where(col(LedgerReconciliation.state) == "running")
        .with_for_update(skip_locked=True)
    )
    return found.one_or_none()


async def find_running(session: AsyncSession) -> LedgerReconciliation | None:
    """The reconciliation at work."""
    found = await session.exec(
        select(LedgerReconciliation).where(col(LedgerReconciliation.state) == "running")
    )
    return found.one_or_none()


async def find_reconciliation(
    session: AsyncSession, *, reconciliation_id: str
) -> LedgerReconciliation | None:
    """One reconciliation."""
    return await session.get(LedgerReconciliation, reconciliation_id)


async def last_started(session: AsyncSession, *, now: datetime) -> datetime | None:
    """When the newest was begun; one dated after `now` only if there is no other."""
    found = await session.exec(
        select(LedgerReconciliation.started_at)
        .order_by(*_newest(LedgerReconciliation.started_at, now=now))
        .limit(1)
    )
    return found.one_or_none()


async def last_finished(session: AsyncSession, *, now: datetime) -> LedgerReconciliation | None:
    """The newest that has ended; one dated after `now` only if there is no other.

    By its end: one begun while the clock was ahead may have ended with the clock set right.
    """
    found = await session.exec(
        select(LedgerReconciliation)
        .where(col(LedgerReconciliation.state) == "done")
        .order_by(*_newest(LedgerReconciliation.finished_at, now=now))
        .limit(1)
    )
    return found.one_or_none()


def _newest(column: datetime | None, *, now: datetime) -> tuple[ColumnElement[bool], Any]:
    """The order that puts the newest first, and behind all others what is dated in the future."""
    at = col(column)
    return (at <= now).desc(), at.desc()


async def highest_checkpoint(session: AsyncSession) -> int:
    """The highest number of a checkpoint that any reconciliation has recorded; 0 if none has."""
    return int((await execute(session, _HIGHEST)).scalar_one())


async def compare_slice(
    session: AsyncSession, *, after: str, upto: str | None, checkpoint: int | None
) -> SliceFound:
    """Compare all that must agree for the members after one and up to another.

    One statement sees one snapshot, and every write is one transaction: so nothing can seem to
    disagree because somebody is at work meanwhile. The entries that a checkpoint covers do not
    change any more, so they can be added up by another.
    """
    given: dict[str, object] = {"after": after, "checkpoint": checkpoint or 0}
    if upto is not None:
        given["upto"] = upto
    rest = upto is None
    row = (await execute(session, COMPARE[rest], given)).one()
    sums: dict[str, int] = {}
    if checkpoint is not None:
        for moved in await execute(session, SUMS[rest], given):
            sums[moved.debit_account] = sums.get(moved.debit_account, 0) - moved.points
            sums[moved.credit_account] = sums.get(moved.credit_account, 0) + moved.points
    return SliceFound(
        members=row.members,
        entries=row.entries,
        disagreements=[Disagreement(**one) for one in orjson.loads(row.disagreements)],
        sums=sums,
    )
