"""Imports of order history: opened under a key, taken batch by batch, ended well or badly."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.loyalty.domain.imports import (
    ImportedLine,
    KnownOrder,
    LineRefusal,
    OwnedLine,
    Tally,
    as_known,
    refused,
    verdict,
)
from services.loyalty.operations.imports_members import find_owners
from services.loyalty.operations.imports_refunds import apply_waiting_refunds
from services.loyalty.store import imports as store
from services.loyalty.store import imports_orders as order_store
from services.loyalty.store.tables import OrderImport
from services.loyalty.store.vault import Vault
from shared.contracts.loyalty import ImportedOrder, OrdersImported
from shared.db import Transaction
from shared.kernel.errors import Refusal
from shared.kernel.ids import new_id

#: An upload not heard of for so long is taken for dead.
SILENCE: Final = timedelta(minutes=2)
_ABANDONED_AT_ONCE: Final = 100


class ImportInFlight(Refusal):
    """The upload that began under this key still goes on."""

    code = "idempotency_in_flight"


class ImportSuperseded(Exception):
    """A newer upload under the same key took the import over, or it was given up as silent."""


@dataclass(frozen=True, kw_only=True)
class OpenImport:
    """An import as it stands when its file begins to arrive.

    Its `attempt` proves, at each batch, that no later upload has taken it over.
    """

    row: OrderImport
    #: Whether its file was read to the end before: then nothing more is taken.
    finished: bool


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some lines of a file, as read, and how many they were."""

    lines: Sequence[ImportedLine]
    refusals: Sequence[LineRefusal]


async def open_import(transaction: Transaction, *, key: str, media_type: str) -> OpenImport:
    """The import that this caller's key names, ready to take lines.

    A broken one begins again from the file's first line: orders that were taken count as repeated
    now. Raises ImportInFlight while an upload under the key goes on.
    """
    now = transaction.now
    row, fresh = await store.claim_import(
        transaction.session,
        OrderImport(
            id=new_id("imp", at=now),
            key=key,
            state="receiving",
            media_type=media_type,
            actor=transaction.actor,
            created_at=now,
            touched_at=now,
        ),
    )
    if fresh or row.state == "done":
        return OpenImport(row=row, finished=not fresh)
    if row.state == "receiving" and row.touched_at > now - SILENCE:
        raise ImportInFlight
    row.state, row.error, row.finished_at = "receiving", None, None
    row.media_type, row.touched_at = media_type, now
    row.attempt += 1
    row.lines = row.orders = row.repeated = row.refused = row.members = 0
    await store.save_import(transaction.session, row)
    return OpenImport(row=row, finished=False)


async def take_batch(
    transaction: Transaction, *, import_id: str, attempt: int, batch: Batch, vault: Vault
) -> OrderImport:
    """Take some lines: orders that are not on record yet, with members enrolled on the fly.

    Sixteen round trips at most, whatever the number of lines, with the transaction's own three;
    more only for orders whose refunds came before them. Raises ImportSuperseded.
    """
    session, now = transaction.session, transaction.now
    refusals = list(batch.refusals)
    await order_store.hold_orders(session, order_ids=[line.order_id for line in batch.lines])
    owners = await find_owners(transaction, lines=batch.lines, import_id=import_id, vault=vault)
    refusals += owners.refusals
    first, again = _first_of_each(owners.owned)
    added = await order_store.add_orders(session, first, import_id=import_id, now=now)
    new = [one for one in first if one.line.order_id in added]
    known = await _known(transaction, new=new, others=[*_without(first, added), *again])
    repeated, differing = _compare([*_without(first, added), *again], known=known)
    refusals += differing
    if new:
        transaction.record(_event(import_id, new), subject=import_id)
        await apply_waiting_refunds(transaction, order_ids=sorted(added))
    if refusals:
        await store.keep_refusals(session, refusals, import_id=import_id)
    tally = Tally(
        lines=len(batch.lines) + len(batch.refusals),
        orders=len(new),
        repeated=repeated,
        refused=len(refusals),
        members=owners.enrolled,
    )
    row = await store.advance(session, import_id=import_id, attempt=attempt, tally=tally, now=now)
    if row is None:
        raise ImportSuperseded
    return row


async def finish_import(
    transaction: Transaction,
    *,
    import_id: str,
    attempt: int,
    error: str | None = None,
    body_hash: bytes | None = None,
) -> OrderImport:
    """End an upload: done, or failed with a code. Raises ImportSuperseded."""
    row = await store.finish(
        transaction.session,
        import_id=import_id,
        attempt=attempt,
        error=error,
        body_hash=body_hash,
        now=transaction.now,
    )
    if row is None:
        raise ImportSuperseded
    return row


async def abandon_silent_imports(transaction: Transaction) -> int:
    """Mark as failed what was being uploaded to a process that died; how many."""
    return await store.abandon_silent(
        transaction.session,
        before=transaction.now - SILENCE,
        now=transaction.now,
        limit=_ABANDONED_AT_ONCE,
    )


async def _known(
    transaction: Transaction, *, new: Sequence[OwnedLine], others: Sequence[OwnedLine]
) -> dict[str, KnownOrder]:
    """What the other lines are compared with: the record, and what this batch has just added."""
    known = {one.line.order_id: as_known(one) for one in new}
    missing = sorted({one.line.order_id for one in others} - known.keys())
    if missing:
        known |= await order_store.known_orders(transaction.session, order_ids=missing)
    return known


def _first_of_each(owned: Sequence[OwnedLine]) -> tuple[list[OwnedLine], list[OwnedLine]]:
    """The first line of each order id, and those that name one again."""
    first: dict[str, OwnedLine] = {}
    again = [one for one in owned if first.setdefault(one.line.order_id, one) is not one]
    return list(first.values()), again


def _without(owned: Sequence[OwnedLine], order_ids: set[str]) -> list[OwnedLine]:
    return [one for one in owned if one.line.order_id not in order_ids]


def _compare(
    owned: Sequence[OwnedLine], *, known: dict[str, KnownOrder]
) -> tuple[int, list[LineRefusal]]:
    """How many lines repeat what is on record, and the refusals of those that contradict it."""
    verdicts = [(one, verdict(one, known=known[one.line.order_id])) for one in owned]
    differing = [
        refused(one.line, "recorded_differently", pointer="/order_id")
        for one, said in verdicts
        if said == "recorded_differently"
    ]
    return len(verdicts) - len(differing), differing


def _event(import_id: str, new: Sequence[OwnedLine]) -> OrdersImported:
    return OrdersImported(
        import_id=import_id,
        orders=[
            ImportedOrder(
                order_id=one.line.order_id,
                member_id=one.member_id,
                paid_fen=one.line.paid_fen,
                refunded_fen=one.line.refunded_fen,
                paid_at=one.line.paid_at,
            )
            for one in new
        ],
    )
