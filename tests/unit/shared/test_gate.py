"""Who closes the gate knows that nobody is inside, and that nobody comes in."""

import asyncio

from shared.gate import Gate


async def test_a_gate_is_open_from_the_start() -> None:
    gate = Gate()
    async with gate.passing():
        assert gate.is_open()


async def test_those_inside_are_waited_for_and_nobody_else_comes_in() -> None:
    gate, inside = Gate(), asyncio.Event()
    log: list[str] = []

    async def first() -> None:
        async with gate.passing():
            inside.set()
            await asyncio.sleep(0)
            log.append("first is done")

    async def second() -> None:
        async with gate.passing():
            log.append("second is in")

    working = asyncio.create_task(first())
    await inside.wait()
    gate.close()
    waiting = asyncio.create_task(second())
    await gate.emptied()
    log.append("empty")
    gate.open()
    await asyncio.gather(working, waiting)
    assert log == ["first is done", "empty", "second is in"]


async def test_a_gate_closed_again_at_once_lets_nobody_in() -> None:
    gate = Gate()
    gate.close()

    async def pass_through() -> None:
        async with gate.passing():
            raise AssertionError("let in")

    waiting = asyncio.create_task(pass_through())
    await asyncio.sleep(0)
    gate.open()
    gate.close()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
