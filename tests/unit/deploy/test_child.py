"""A supervised child: back-off, restarts, giving up, stopping."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.local.child import BackOff, Child, Crash
from deploy.local.failures import CannotRun
from deploy.local.log_watch import LogWatch, complaints
from deploy.local.server_process import runs
from tests.support.waiting import until

Make = Callable[[str], tuple[Child, list[Crash]]]
SLEEP = "import time; time.sleep(1000)"


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Start a Python program as a supervised child; it is stopped after the test."""
    async with AsyncExitStack() as stack:

        def start(program: str) -> tuple[Child, list[Crash]]:
            crashes: list[Crash] = []
            child = Child(
                name="loyalty",
                command=[sys.executable, "-c", program],
                environment={},
                log=tmp_path / "loyalty.log",
                on_crash=crashes.append,
                back_off=BackOff(first=0.01, most=0.02),
            )
            child.start()
            stack.push_async_callback(child.stop)
            return child, crashes

        yield start


def test_each_wait_is_twice_the_last_up_to_the_most() -> None:
    back_off = BackOff(first=0.5, most=30)
    assert [back_off.seconds(n) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


async def test_a_child_that_is_killed_starts_again_and_it_is_told_which_and_why(make: Make) -> None:
    child, crashes = make("print('alive', flush=True); " + SLEEP)
    await until(lambda: child.pid is not None, what="the first start")
    killed = child.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await until(lambda: child.pid not in (None, killed), what="the second start")
    assert [(crash.name, crash.exit_code) for crash in crashes] == [("loyalty", -signal.SIGKILL)]


async def test_a_child_that_never_stands_is_given_up_with_its_last_words(make: Make) -> None:
    child, crashes = make("raise SystemExit('no database')")
    child.refuse_if_hopeless()
    await until(lambda: len(crashes) >= 3, what="three crashes")
    with pytest.raises(CannotRun, match="no database"):
        child.refuse_if_hopeless()
    assert crashes[0].exit_code == 1


async def test_a_child_that_is_stopped_is_not_started_again(make: Make) -> None:
    child, crashes = make(SLEEP)
    await until(lambda: child.pid is not None, what="the start")
    pid = child.pid
    assert pid is not None
    await child.stop()
    assert not runs(pid)
    assert crashes == []
    assert child.starts == 1


def test_warnings_and_errors_are_told_and_nothing_else_is() -> None:
    lines = [
        '{"level": "info", "event": "served"}',
        '{"level": "warning", "event": "feed away"}',
        "Traceback (most recent call last):",
        '{"level": "error", "event": "database gone"}',
    ]
    assert complaints(lines) == ["warning: feed away", "error: database gone"]


def test_the_same_complaint_is_told_once_a_minute(tmp_path: Path) -> None:
    log = tmp_path / "referral.log"
    log.write_text('{"level": "error", "event": "of an earlier run"}\n')
    told: list[tuple[str, str]] = []
    watch = LogWatch(logs=[log], tell=lambda name, line: told.append((name, line)))
    for at in (0.0, 30.0, 61.0):
        with log.open("a") as file:
            file.write('{"level": "warning", "event": "feed is away"}\n{"level": "err')
        watch.look(at=at)
        with log.open("a") as file:
            file.write('or", "event": "x"}\n')
    assert told.count(("referral", "warning: feed is away")) == 2
    assert told.count(("referral", "error: x")) == 1
    assert len(told) == 3
