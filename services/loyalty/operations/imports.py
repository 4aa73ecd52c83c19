"""Imports in bulk: opened under a key, counted batch by batch, ended well or badly."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic

from services.loyalty.domain.imports import ImportKind, Line, LineRefusal, Tally
from services.loyalty.store import imports as store
from services.loyalty.store.tables import Import
from shared.db import Transaction
from shared.kernel.errors import Refusal, RefusalKind
from shared.kernel.ids import new_id

#: An upload not heard of for so long is taken for dead.
SILENCE: Final = timedelta(minutes=2)
_ABANDONED_AT_ONCE: Final = 100


class ImportInFlight(Refusal):
    """The upload that began under this key still goes on."""

    code = "idempotency_in_flight"


class ImportTermsChanged(Refusal):
    """The import under this key was begun with other parameters."""

    code = "idempotency_key_reused"
    kind = RefusalKind.invalid


class ImportSuperseded(Exception):
    """A newer upload under the same key took the import over, or it was given up as silent."""


class BatchCounted(Exception):
    """The batch was committed before, and nobody heard of it: `row` is the import since then."""

    def __init__(self, row: Import) -> None:
        super().__init__()
        self.row = row


@dataclass(frozen=True, kw_only=True)
class ImportTerms:
    """What is asked of an import, beside its file."""

    kind: ImportKind
    #: Whether its orders earn points and growth.
    earn: bool = False
    #: Whether whoever is unknown is enrolled.
    enrol: bool = True


@dataclass(frozen=True, kw_only=True)
class OpenImport:
    """An import as it stands when its file begins to arrive.

    Its `attempt` proves, at each batch, that no later upload has taken it over.
    """

    row: Import
    #: Whether its file was read to the end before: then nothing more is taken.
    finished: bool


@dataclass(frozen=True, kw_only=True)
class Batch(Generic[Line]):
    """Some lines of a file, as read, and the refusals of those that could not be."""

    lines: Sequence[Line]
    refusals: Sequence[LineRefusal]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of the lines of a batch. `refusals` are all, those of the reader included."""

    taken: int
    repeated: int
    refusals: Sequence[LineRefusal]
    members: int


async def open_import(
    transaction: Transaction, *, key: str, media_type: str, terms: ImportTerms
) -> OpenImport:
    """The import that this caller's key names, ready to take lines.

    A broken one begins again from the file's first line: what was taken counts as repeated now.
    Raises ImportTermsChanged, and ImportInFlight while an upload under the key goes on.
    """
    now = transaction.now
    row, fresh = await store.claim_import(
        transaction.session,
        Import(
            id=new_id("imp", at=now),
            kind=terms.kind,
            key=key,
            state="receiving",
            media_type=media_type,
            earn=terms.earn,
            enrol=terms.enrol,
            actor=transaction.actor,
            created_at=now,
            touched_at=now,
        ),
    )
    if (row.earn, row.enrol) != (terms.earn, terms.enrol):
        raise ImportTermsChanged
    if fresh or row.state == "done":
        return OpenImport(row=row, finished=not fresh)
    if row.state == "receiving" and row.touched_at > now - SILENCE:
        raise ImportInFlight
    row.state, row.error, row.finished_at = "receiving", None, None
    row.media_type, row.touched_at = media_type, now
    row.attempt += 1
    row.lines = row.taken = row.repeated = row.refused = row.members = 0
    await store.save_import(transaction.session, row)
    return OpenImport(row=row, finished=False)


async def count_batch(
    transaction: Transaction, *, upload: Import, batch: Batch[Line], taken: Taken
) -> Import:
    """Count what became of a batch's lines and keep the refused ones, the last act of a batch.

    Raises ImportSuperseded, and BatchCounted when the batch is a repetition: both undo it. What is
    repeated may end otherwise than at first, for who had too few points may have enough by now,
    but the first end is the one that was counted and told.
    """
    tally = Tally(
        lines=len(batch.lines) + len(batch.refusals),
        taken=taken.taken,
        repeated=taken.repeated,
        refused=len(taken.refusals),
        members=taken.members,
    )
    session = transaction.session
    row = await store.advance(session, upload=upload, tally=tally, now=transaction.now)
    if row is None:
        counted = await store.find_counted(session, upload=upload, lines=tally.lines)
        raise ImportSuperseded if counted is None else BatchCounted(counted)
    if taken.refusals:
        await store.keep_refusals(session, taken.refusals, import_id=upload.id)
    return row


async def finish_import(
    transaction: Transaction,
    *,
    import_id: str,
    attempt: int,
    error: str | None = None,
    body_hash: bytes | None = None,
) -> Import:
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
