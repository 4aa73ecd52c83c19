"""What falls due here: nights, imports that have gone quiet, runs to be taken further."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from services.segmentation.operations.runs import advance, plan_import_run, plan_night
from shared.jobs import Job

_PLAN_EVERY_S: Final = 5.0
_ADVANCE_EVERY_S: Final = 1.0


def segmentation_jobs(*, import_quiet: timedelta) -> Sequence[Job]:
    """All jobs of this service. Any number of replicas may run them."""
    plan_import = partial(plan_import_run, quiet=import_quiet)
    return (
        Job(name="plan_night_run", every_s=_PLAN_EVERY_S, step=plan_night),
        Job(name="plan_import_run", every_s=_PLAN_EVERY_S, step=plan_import),
        Job(name="advance_segment_run", every_s=_ADVANCE_EVERY_S, step=advance),
    )
