"""The terminal during `make run`."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def own_foreground() -> Iterator[None]:
    """Take Ctrl-C for ourselves while we run.

    `make` would hear it too and end in an error of its own, over our goodbye. Where there is no
    terminal nothing is changed.
    """
    if not os.isatty(0):
        yield
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    before = os.tcgetpgrp(0)
    with suppress(OSError):
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
    try:
        yield
    finally:
        with suppress(OSError):
            os.tcsetpgrp(0, before)
