"""The system that the demo plays on: the running one, else one of its own for as long as needed."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from deploy.demo.screen import say
from deploy.local.ports import free_port
from deploy.local.settings import CHECKOUT, RunSettings, inherited_environment

_START_S: Final = 120


@dataclass(frozen=True, kw_only=True)
class System:
    """Where to play, with what key, and whether it goes on running afterwards."""

    address: str
    key: str
    stays: bool


@contextmanager
def system(settings: RunSettings) -> Iterator[System]:
    """A ready system; stopped at the end if it was started for the demo."""
    address = f"http://{settings.host}:{settings.port}"
    if _ready(address):
        say(f"使用正在运行的系统 / using the running system: {address}")
        yield System(address=address, key=_first_key(inherited_environment()), stays=True)
        return
    port = free_port()
    environment = {
        **inherited_environment(),
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "HUITOU_DATA": str(CHECKOUT / ".data-demo"),
    }
    address = f"http://127.0.0.1:{port}"
    say("系统未运行，演示将临时启动一套（数据在 .data-demo）")
    say("nothing is running: starting a system for the demo (its data is in .data-demo)")
    runner = subprocess.Popen(
        [sys.executable, "-m", "deploy.local", "run"],
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.DEVNULL,  # the terminal, and its Ctrl-C, stay with the demo
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait(runner, address)
        yield System(address=address, key=_first_key(environment), stays=False)
    finally:
        runner.terminate()
        runner.wait()


def _wait(runner: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + _START_S
    while not _ready(address):
        if runner.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(
                "系统没有启动，请运行 make run 查看原因 / it did not start: try make run"
            )
        time.sleep(0.2)


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=3, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _first_key(environment: dict[str, str]) -> str:
    made = subprocess.run(
        [sys.executable, "-m", "deploy.local", "first-key"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise SystemExit(made.stderr)
    return made.stdout.strip().splitlines()[-1]
