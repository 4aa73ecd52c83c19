"""Door 3, the clock: work that falls due, one line per job."""

from typing import Final

from services.loyalty.operations.checkout import release_stale
from services.loyalty.operations.holds import release_stale_holds
from services.loyalty.operations.imports import abandon_silent_imports
from services.loyalty.operations.points import release_due_lots
from services.loyalty.operations.vouchers import expire_vouchers
from services.loyalty.store.redemptions import next_hold_end
from shared.jobs import Job

JOBS: Final = [
    Job(name="release_due_lots", every_s=5, step=release_due_lots),
    Job(name="release_stale_reservations", every_s=5, step=release_stale),
    Job(name="release_stale_holds", every_s=5, step=release_stale_holds, next_due=next_hold_end),
    Job(name="expire_vouchers", every_s=60, step=expire_vouchers),
    Job(name="abandon_silent_imports", every_s=60, step=abandon_silent_imports),
]
