"""Plants a bug into the real processes of a crash run that is to be caught.

Python imports a module of this name by itself when its folder is on PYTHONPATH, where only such a
run puts it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from shared.batch_runner import BatchRunner

_decide = BatchRunner._decide


def _decide_and_tell(self, state, one, outcomes, now):  # type: ignore[no-untyped-def]
    """Acknowledged before commit: the caller hears of it once it is decided."""
    _decide(self, state, one, outcomes, now)
    self._tell(outcomes)


BatchRunner._decide = _decide_and_tell  # type: ignore[method-assign]
