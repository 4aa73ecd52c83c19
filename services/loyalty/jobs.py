"""Door 3, the clock: work that falls due, one line per job."""

from functools import partial
from typing import Final

from services.loyalty.operations.checkout import release_stale
from services.loyalty.operations.imports import SILENCE, abandon_silent_imports
from services.loyalty.operations.points import release_due_lots
from services.loyalty.operations.vouchers import expire_vouchers
from services.loyalty.store import due
from shared.jobs import Job

JOBS: Final = [
    Job(name="release_due_lots", every_s=5, step=release_due_lots, next_due=due.next_release),
    Job(
        name="release_stale_reservations",
        every_s=5,
        step=release_stale,
        next_due=due.next_stale_reservation,
    ),
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
