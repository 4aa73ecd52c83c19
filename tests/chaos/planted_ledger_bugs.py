"""Bugs of a ledger that somebody might have written, each planted from outside the product.

`docs/correctness.md` has the table: which test sees which. A bug that a second line of defence
stops (a primary key, a check constraint) must be seen nevertheless: its caller gets a fault where
there should have been an answer. Where the first line alone is what the bug is about, the second
is taken away with it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.operations import cancellations
from services.loyalty.store import (
    accounts,
    books,
    completion_batches,
    order_batches,
    redemption_batches,
    refund_batches,
)
from services.loyalty.store.accounts import LockedMember
from shared.batch_runner import BatchRunner
from shared.db import Database, Transaction
from shared.http import hot_routes
from shared.http.writes import Write, _AlreadyAnswered


class Planted(Protocol):
    """A running service whose code or database gets a bug."""

    @property
    def database(self) -> Database:
        """Its own database."""
        ...


async def change(service: Planted, *statements: str) -> None:
    async with service.database.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


def _without(patch: pytest.MonkeyPatch, owner: Any, name: str, words: str, instead: str) -> None:
    """Replace words of a statement; they must be there, or the bug would be none."""
    statement = str(getattr(owner, name))
    assert words in statement
    patch.setattr(owner, name, statement.replace(words, instead))


async def check_then_write(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """Read the balance, compare, write: the account may have moved in between."""
    _without(
        patch,
        redemption_batches._SAVE,
        "_sql",
        "(given.version is null or given.version = accounts.version)",
        "true",
    )
    # Two keys would stop it: an entry's number, and a lot's part in it.
    await change(
        service,
        "alter table point_entries drop constraint point_entries_pkey",
        "alter table lot_allocations drop constraint lot_allocations_pkey",
    )


async def refund_of_a_stale_order(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """A batch of refunds writes whatever has happened to its orders since they were read."""
    _without(
        patch,
        refund_batches._SAVE,
        "_sql",
        "(given.version is null or given.version = accounts.version)",
        "true",
    )


async def order_changed_unheld(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """A batch of refunds does not mind who has read its orders and now waits for the account."""
    _without(patch, refund_batches._SAVE, "_sql", "count(*) from held", "count(*) from kept")


async def order_completed_unheld(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """A batch of completions does not mind them either."""
    _without(patch, completion_batches._SAVE, "_sql", "count(*) from held", "count(*) from kept")


async def stale_read_unrefused(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """The quick way writes what it can of what was decided on a state that is no more."""
    await change(
        service,
        "create or replace function refuse_stale(done bigint, wanted bigint) returns bigint"
        " language sql as $$ select done $$",
    )


async def account_not_locked(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """Ordinary writes load a member without holding the account."""
    unlocked = str(accounts._LOCK_WAITING.text).replace("for update of accounts", "")
    patch.setattr(accounts, "_LOCK_WAITING", text(unlocked))


async def locks_in_any_order(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """Accounts are locked as they are named: two opposite transfers wait for each other."""
    as_named = str(accounts._LOCK_WAITING.text).replace(
        "order by accounts.member_id",
        "order by array_position(cast(:member_ids as text[]), accounts.member_id)",
    )
    patch.setattr(accounts, "_LOCK_WAITING", text(as_named))


async def reply_kept_in_another_transaction(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """The row of the key is committed for itself, before what it answers for."""
    claim, keep = Write._claim, Write._keep

    async def claim_alone(self: Write, transaction: Transaction) -> None:
        async with self._database.begin(actor="key") as own:
            await claim(self, own)

    async def keep_alone(self: Write, transaction: Transaction, stored: Any) -> None:
        async with self._database.begin(actor="key") as own:
            await keep(self, own, stored)

    patch.setattr(Write, "_claim", claim_alone)
    patch.setattr(Write, "_keep", keep_alone)


async def replay_executes_again(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """A known key is noticed, and the operation is run all the same."""
    claim = Write._claim

    async def claim_and_go_on(self: Write, transaction: Transaction) -> None:
        try:
            await claim(self, transaction)
        except _AlreadyAnswered:
            return

    patch.setattr(Write, "_claim", claim_and_go_on)


async def new_key_for_each_attempt(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """Somebody between caller and ledger retries under a key of its own."""
    made = hot_routes._Writing._write_of

    def write_of(self: Any, request: Any, call: Any, raw: bytes) -> Any:
        write = made(self, request, call, raw)
        write._claim = replace(write._claim, key=uuid4().hex)
        return write

    patch.setattr(hot_routes._Writing, "_write_of", write_of)


async def acknowledged_before_commit(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """The caller hears of it once it is decided; the disk comes later."""
    decide = BatchRunner._decide

    def decide_and_tell(self: Any, state: Any, one: Any, outcomes: Any, now: datetime) -> None:
        decide(self, state, one, outcomes, now)
        self._tell(outcomes)

    patch.setattr(BatchRunner, "_decide", decide_and_tell)


async def event_outside_the_transaction(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """First the commit, then the event: whoever dies in between has told nobody."""
    begin = Database.begin

    @asynccontextmanager
    async def begin_and_tell_later(self: Database, *, actor: str) -> AsyncIterator[Transaction]:
        async with begin(self, actor=actor) as transaction:
            yield transaction
            late = list(transaction.events)
            transaction.events.clear()
        if late:
            async with begin(self, actor=actor) as telling:
                telling.events.extend(late)

    patch.setattr(Database, "begin", begin_and_tell_later)


async def lot_update_lost(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """What was taken from a lot is not written back to it."""
    words = "remaining = excluded.remaining,"
    _without(patch, books, "_SAVE", words, "")
    for statement in (redemption_batches._SAVE, order_batches._SAVE):
        _without(patch, statement, "_sql", words, "")


async def balance_without_an_entry(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """A balance is put right by hand, past the ledger."""
    save = books.save_members

    async def save_balances(session: AsyncSession, members: list[LockedMember]) -> None:
        await save(session, [one.with_account(replace(one.account, entries=())) for one in members])

    patch.setattr(cancellations, "save_members", save_balances)
