"""Reconciliation: a walk over all members that compares what must agree."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog
from prometheus_client import Gauge

from services.loyalty.domain.reconciliations import (
    KEPT_DISAGREEMENTS,
    Disagreement,
    checkpoints_disagreement,
    is_recent,
    ledger_disagreement,
)
from services.loyalty.store import checkpoints
from services.loyalty.store import reconciliations as store
from services.loyalty.store.reconciliations_guards import missing_guards
from services.loyalty.store.tables import LedgerReconciliation
from shared.contracts.loyalty import LedgerDisagreed
from shared.db import Transaction
from shared.kernel.ids import new_id
from shared.kernel.texts import text

_log = structlog.get_logger()

_DISAGREEMENTS: Final = Gauge(
    "huitou_ledger_disagreements", "Disagreements found by the last reconciliation"
)
_RECONCILED: Final = Gauge(
    "huitou_ledger_reconciled_timestamp_seconds", "When the last reconciliation ended"
)
_CHECKPOINT: Final = Gauge(
    "huitou_ledger_checkpoint_number", "Number of the last checkpoint; 0 while there is none"
)
_CHECKPOINT_AT: Final = Gauge(
    "huitou_ledger_checkpoint_timestamp_seconds", "When the last checkpoint was taken"
)
_UNCOVERED: Final = Gauge(
    "huitou_ledger_uncovered_entries",
    "Entries seen by the last reconciliation that no checkpoint covers yet",
)

_SLICE: Final = 1_000
#: How many members an event and a log line name; the record keeps more.
_NAMED: Final = 10


async def start_reconciliation(transaction: Transaction) -> LedgerReconciliation:
    """Begin a reconciliation; the one at work, if there is one, serves for this one too."""
    session, now = transaction.session, transaction.now
    newest = await checkpoints.last_checkpoint(session)
    new = LedgerReconciliation(
        id=new_id("rcn", at=now),
        state="running",
        requested_by=transaction.actor,
        checkpoint=newest.number if newest else None,
        after_member="",
        members_total=await store.count_accounts(session),
        sums={},
        first_disagreements=[],
        started_at=now,
    )
    _note(new, await _before_the_walk(transaction, newest=new.checkpoint or 0))
    await store.add_reconciliation(session, new)
    running = await store.find_running(session)
    # It may have ended since; then ours is not written, and the one that ended is as fresh.
    return running or await store.last_finished(session, now=now) or new


async def _before_the_walk(transaction: Transaction, *, newest: int) -> Sequence[Disagreement]:
    """What can be told without looking at any member; noted first, so that it is kept by name."""
    recorded = await store.highest_checkpoint(transaction.session)
    lost = checkpoints_disagreement(newest=newest, recorded=recorded)
    found = [lost] if lost else []
    missing = await missing_guards(transaction.session)
    if missing:
        _log.error("ledger guards missing", missing=missing)
        found.append(Disagreement(member_id=None, identities=["guards_stand"]))
    return found


async def reconcile_ledger(transaction: Transaction, *, every: timedelta) -> int:
    """Take a reconciliation one slice of members further; begin one when it is time."""
    session, now = transaction.session, transaction.now
    running = await store.claim_running(session)
    if running is None:
        await _tell_figures(transaction)
        started = await store.last_started(session, now=now)
        if started is not None and is_recent(started, now=now, every=every):
            return 0
        await start_reconciliation(transaction)
        return 1
    after = running.after_member
    upto = await checkpoints.slice_end(session, after=after, size=_SLICE)
    found = await store.compare_slice(
        session, after=after, upto=upto, checkpoint=running.checkpoint
    )
    running.members += found.members
    running.entries += found.entries
    running.sums = {
        name: running.sums.get(name, 0) + found.sums.get(name, 0)
        for name in {*running.sums, *found.sums}
    }
    _note(running, found.disagreements)
    if upto is None:
        await _finish(transaction, running)
    else:
        running.after_member = upto
    return 1


async def _finish(transaction: Transaction, running: LedgerReconciliation) -> None:
    """Compare the ledger as a whole, and tell everybody if anything disagrees."""
    if running.checkpoint is not None:
        against = await checkpoints.find_checkpoint(transaction.session, number=running.checkpoint)
        whole = ledger_disagreement(
            sums=running.sums,
            totals=against.totals if against else {},
            balances=against.balances if against else {},
        )
        _note(running, [whole] if whole else [])
    running.state = "done"
    running.finished_at = transaction.now
    if running.disagreements == 0:
        return
    members = [one["member_id"] for one in running.first_disagreements if one["member_id"]]
    _log.error(
        "ledger disagrees",
        reconciliation=running.id,
        disagreements=running.disagreements,
        first=running.first_disagreements[:_NAMED],
        meaning=_words(running.first_disagreements[:_NAMED]),
    )
    transaction.record(
        LedgerDisagreed(
            reconciliation_id=running.id,
            disagreements=running.disagreements,
            first_member_ids=members[:_NAMED],
            reconciled_at=transaction.now,
        ),
        subject="ledger",
    )


def _note(running: LedgerReconciliation, disagreements: Sequence[Disagreement]) -> None:
    running.disagreements += len(disagreements)
    added: list[dict[str, Any]] = [
        {"member_id": one.member_id, "identities": list(one.identities)} for one in disagreements
    ]
    running.first_disagreements = [*running.first_disagreements, *added][:KEPT_DISAGREEMENTS]


def _words(disagreements: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What must agree and does not, in words, for whoever reads the log."""
    broken = {name: f"reconciliation.{name}" for one in disagreements for name in one["identities"]}
    return {
        name: f"{text(key, language='zh-CN')} / {text(key, language='en')}"
        for name, key in broken.items()
    }


async def _tell_figures(transaction: Transaction) -> None:
    """Set this process's figures by what is on record, whichever replica found it."""
    done = await store.last_finished(transaction.session, now=transaction.now)
    newest = await checkpoints.last_checkpoint(transaction.session)
    _CHECKPOINT.set(newest.number if newest else 0)
    _CHECKPOINT_AT.set(newest.taken_at.timestamp() if newest else 0)
    if done is not None and done.finished_at is not None:
        _DISAGREEMENTS.set(done.disagreements)
        _RECONCILED.set(done.finished_at.timestamp())
        _UNCOVERED.set(max(0, done.entries - (newest.entries if newest else 0)))
