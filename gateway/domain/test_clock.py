"""Which jobs are no longer listened to when a sandbox's clock is moved."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

#: So often in a row may a job name a moment at which there is then nothing to do …
_FRUITLESS_MAX: Final = 100
#: … within so short a time. A job that looks once a day is no nuisance.
_FRUITLESS_WITHIN: Final = timedelta(hours=1)

#: A service and the name of one of its jobs.
JobName = tuple[str, str]


@dataclass(kw_only=True)
class Patience:
    """Guards a journey against jobs that name one moment after another and never do anything."""

    ignoring: set[JobName] = field(default_factory=set)
    _since: dict[JobName, datetime] = field(default_factory=dict)
    _count: dict[JobName, int] = field(default_factory=dict)

    def note(self, *, named: Collection[JobName], at: datetime, fruitful: bool) -> set[JobName]:
        """Note a visit to a moment and who had named it; gives those who are ignored from now."""
        tired = set()
        for job in named:
            since = self._since.get(job)
            if fruitful or since is None or at - since > _FRUITLESS_WITHIN:
                self._since[job], self._count[job] = at, 0
            self._count[job] += 1
            if self._count[job] > _FRUITLESS_MAX:
                tired.add(job)
        self.ignoring |= tired
        return tired
