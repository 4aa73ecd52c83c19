"""Door 3, the clock: work that falls due, one line per job."""

from typing import Final

from services.loyalty.operations.vouchers import expire_vouchers
from shared.jobs import Job

JOBS: Final = [
    Job(name="expire_vouchers", every_s=60, step=expire_vouchers),
]
