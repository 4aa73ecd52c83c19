"""Runs a test of the transport on each event loop it may meet in production."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import pytest
import uvloop

from shared.http.transport import Transport

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


def on_both_loops(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Turn `async def test(transport, …)` into a test per loop, with a transport of its own.

    Whatever a callback or a forgotten task raises in the background fails the test too.
    """

    @wraps(test)
    def run(loop: str, **cases: Any) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(_watched(test, cases))

    signature = inspect.signature(test)
    others = [each for each in signature.parameters.values() if each.name != "transport"]
    loop = inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = signature.replace(parameters=[*others, loop])  # type: ignore[attr-defined]
    del run.__wrapped__
    per_loop: Callable[..., None] = pytest.mark.parametrize("loop", LOOPS)(run)
    return per_loop


async def _watched(test: Callable[..., Awaitable[None]], cases: dict[str, Any]) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with Transport() as transport, asyncio.timeout(60):
        await test(transport, **cases)
    assert faults == []
