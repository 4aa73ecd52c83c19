"""Door 3, the clock: work that falls due, one line per job."""

from typing import Final

from services.loyalty.operations.checkout import release_stale
from services.loyalty.operations.expiries import expire_due_lots
from services.loyalty.operations.expiry_notices import announce_expiries
from services.loyalty.operations.imports import abandon_silent_imports
from services.loyalty.operations.points import release_due_lots
from services.loyalty.operations.vouchers import expire_vouchers
from services.loyalty.store.expiries import next_day_of_a_lot
from services.loyalty.store.expiry_notices import next_announcement
from shared.jobs import Job

JOBS: Final = [
    Job(name="release_due_lots", every_s=5, step=release_due_lots),
    Job(name="release_stale_reservations", every_s=5, step=release_stale),
    Job(name="announce_expiries", every_s=600, step=announce_expiries, next_due=next_announcement),
    Job(name="expire_due_lots", every_s=60, step=expire_due_lots, next_due=next_day_of_a_lot),
    Job(name="expire_vouchers", every_s=60, step=expire_vouchers),
    Job(name="abandon_silent_imports", every_s=60, step=abandon_silent_imports),
]
