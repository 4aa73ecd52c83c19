"""Door 3, the clock: work that falls due, one line per job."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from services.loyalty.operations.checkpoints import take_checkpoint
from services.loyalty.operations.expiries import expire_due_lots
from services.loyalty.operations.expiry_notices import announce_expiries
from services.loyalty.operations.holds import release_stale_holds
from services.loyalty.operations.imports import SILENCE, abandon_silent_imports
from services.loyalty.operations.points import release_due_lots
from services.loyalty.operations.reconciliations import reconcile_ledger
from services.loyalty.operations.reservations import release_stale
from services.loyalty.operations.vouchers import expire_vouchers
from services.loyalty.operations.waiting import apply_waiting_facts
from services.loyalty.store import due
from services.loyalty.store.expiries import next_day_of_a_lot
from services.loyalty.store.expiry_notices import next_announcement
from services.loyalty.store.redemptions import next_hold_end
from shared.jobs import Job

JOBS: Final = [
    Job(name="apply_waiting_facts", every_s=5, step=apply_waiting_facts),
    Job(name="release_due_lots", every_s=5, step=release_due_lots, next_due=due.next_release),
    Job(
        name="release_stale_reservations",
        every_s=5,
        step=release_stale,
        next_due=due.next_stale_reservation,
    ),
    Job(name="release_stale_holds", every_s=5, step=release_stale_holds, next_due=next_hold_end),
    Job(name="announce_expiries", every_s=600, step=announce_expiries, next_due=next_announcement),
    Job(name="expire_due_lots", every_s=60, step=expire_due_lots, next_due=next_day_of_a_lot),
    Job(
        name="expire_vouchers",
        every_s=60,
        step=expire_vouchers,
        next_due=due.next_lapsing_voucher,
    ),
    Job(
        name="abandon_silent_imports",
        every_s=60,
        step=abandon_silent_imports,
        next_due=partial(due.next_silent_import, silence=SILENCE),
    ),
]


def ledger_jobs(*, checkpoint_every: timedelta, reconcile_every: timedelta) -> Sequence[Job]:
    """What proves the ledger. The second looks often, since a reconciliation may be asked for."""
    checkpoint = partial(take_checkpoint, every=checkpoint_every)
    reconcile = partial(reconcile_ledger, every=reconcile_every)
    return (
        Job(name="take_checkpoint", every_s=checkpoint_every.total_seconds(), step=checkpoint),
        Job(name="reconcile_ledger", every_s=5, step=reconcile),
    )
