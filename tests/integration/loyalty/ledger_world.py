"""A ledger with a history, written fast; and what a hand inside the database may do to it."""

import asyncio
import random
import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from deploy.local.binaries import find_postgres
from services.loyalty.domain.audit import Audit, Expected
from services.loyalty.domain.holds import capture, hold
from services.loyalty.domain.ledger import Account, Stamp
from services.loyalty.domain.lots import Cause
from services.loyalty.domain.points import earn_pending, expire, redeem, release_due, schedule
from services.loyalty.operations.checkpoints import take_checkpoint
from services.loyalty.operations.reconciliations import reconcile_ledger
from services.loyalty.store.accounts import lock_members
from services.loyalty.store.books import save_members
from services.loyalty.verify.__main__ import verify
from shared.db import Transaction
from shared.sql import execute
from tests.support.service import ServiceUnderTest

HOUR: Final = timedelta(hours=1)
_BATCH: Final = 250
_ENROL: Final = text(
    """
    with new as (
      insert into members (id, state, tags, consents, created_at, updated_at)
      select id, 'active', '[]', '{}', :now, :now from unnest(cast(:ids as text[])) as given(id)
      on conflict do nothing returning id
    )
    insert into accounts (member_id, available, pending, held, debt, growth, tier_code, tier_floor,
      tier_since, entry_seq)
    select id, 0, 0, 0, 0, 0, 'regular', 'regular', :now, 0 from new
    """
)


def member_ids(count: int) -> list[str]:
    """So many ids, in order."""
    return [f"mem_{number:026}" for number in range(count)]


async def write_history(loyalty: ServiceUnderTest, *, members: int, entries: int) -> list[str]:
    """Give each of so many members at least so many entries more; says who they are."""
    ids = member_ids(members)

    async def write(transaction: Transaction, some: Sequence[str]) -> None:
        session, now = transaction.session, transaction.now
        await execute(session, _ENROL, {"ids": list(some), "now": now})
        locked = await lock_members(session, member_ids=some, now=now, lots="open")
        lived = [
            one.with_account(live(one.account, entries=entries, now=now)) for one in locked.values()
        ]
        await save_members(session, lived)

    for place in range(0, members, _BATCH):
        part = partial(write, some=ids[place : place + _BATCH])
        await loyalty.database.run(part, actor="test:history")
    return ids


def live(account: Account, *, entries: int, now: datetime) -> Account:
    """A member's life: earning, spending, holding, lapsing, always a little differently."""
    chance = random.Random(f"{account.member_id} {account.seq}")
    stamp = Stamp(at=now, actor="key_shop")
    while len(account.entries) < entries:
        number = account.seq
        order = Cause(kind="order", id=f"SO-{account.member_id[-6:]}-{number}")
        spent = Cause(kind="redemption", id=f"rdm_{number}", reason="新年礼物")
        given: dict[str, Any] = {"programme_version": 1, "stamp": stamp}
        account = earn_pending(
            account, lot_id=f"lot_{account.member_id[4:]}_{number}", cause=order,
            points=chance.randint(50, 5000), occurred_at=now, **given,
        )  # fmt: skip
        account = schedule(account, cause=order, available_at=now, expires_at=now + HOUR)
        account = release_due(account, stamp=stamp)
        account = redeem(account, points=chance.randint(1, 20), cause=spent, **given)
        account = hold(account, points=7, cause=spent, **given)
        account = capture(account, points=7, cause=spent, **given)
        if chance.random() < 0.2:
            lot = account.lots_in("available")[0]
            account = expire(
                account, lot_id=lot.id, cause=Cause(kind="lot", id=lot.id), stamp=stamp
            )
    return account


async def checkpoint(loyalty: ServiceUnderTest) -> int:
    """Let an hour pass and take a checkpoint; says how many were taken."""
    loyalty.clock.advance(HOUR)
    return await loyalty.database.run(
        lambda tx: take_checkpoint(tx, every=HOUR), actor="job:take_checkpoint"
    )


async def reconcile(loyalty: ServiceUnderTest) -> Any:
    """Let a day pass, reconcile, and give what the proof says."""
    loyalty.clock.advance(timedelta(days=1))
    while await loyalty.database.run(
        lambda tx: reconcile_ledger(tx, every=timedelta(days=1)), actor="job:reconcile_ledger"
    ):
        pass
    return (await loyalty.call("show_ledger_proof")).json()


async def audited(loyalty: ServiceUnderTest, *, expected: Expected | None = None) -> Audit:
    """The offline audit of the service's database, with all that it finds."""
    url = loyalty.database.engine.url.render_as_string(hide_password=False)
    return await asyncio.to_thread(verify, database=url, most_findings=10_000, expected=expected)


async def audited_dump(file: Path) -> Audit:
    """The offline audit of a dump."""
    return await asyncio.to_thread(verify, dump=file, most_findings=10_000)


async def tamper(loyalty: ServiceUnderTest, *statements: str, **parameters: Any) -> None:
    """Change rows as somebody can who rules the database: past triggers, keys and checks."""
    async with loyalty.database.engine.begin() as connection:
        await connection.execute(text("set local session_replication_role = replica"))
        for statement in statements:
            await connection.execute(text(statement), parameters)


async def without_checks(loyalty: ServiceUnderTest) -> None:
    """Drop checks and keys of the ledger's tables, so that any value can be written."""
    rows = await loyalty.rows(
        "select conrelid::regclass::text as of, conname from pg_constraint"
        " where contype in ('c', 'f', 'p') and conrelid in ('accounts'::regclass,"
        " 'point_entries'::regclass, 'point_lots'::regclass, 'lot_allocations'::regclass)"
    )
    await tamper(
        loyalty,
        *(f"alter table {row.of} drop constraint if exists {row.conname} cascade" for row in rows),
    )


async def dump_of(loyalty: ServiceUnderTest, file: Path, *options: str) -> Path:
    """A dump of the service's database, by PostgreSQL's own program."""
    url = loyalty.database.engine.url.set(drivername="postgresql")
    program = find_postgres().directory / "pg_dump"
    found = str(program) if program.exists() else shutil.which("pg_dump")
    assert found is not None
    command = [found, *options, "-f", str(file), url.render_as_string(hide_password=False)]
    await asyncio.to_thread(subprocess.run, command, check=True)
    return file


def named(audit: Audit) -> set[str]:
    """The members of whom something was found."""
    return {str(found.facts["member"]) for found in audit.findings if "member" in found.facts}
