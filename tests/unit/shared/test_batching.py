"""The collector: what arrives together goes together, and nobody waits for nothing."""

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared import batching
from shared.batching import Busy, Collector


@dataclass(eq=False)
class Item:
    subject: Hashable
    number: int
    outcome: "asyncio.Future[object]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Bench:
    """Batches that end when a test says so."""

    def __init__(self, **how: Any) -> None:
        self.begun: list[list[int]] = []
        self._gates: list[asyncio.Event] = []
        self.collector: Collector[Item] = Collector(run=self._run, **how)
        self._count = 0

    async def _run(self, batch: Sequence[Item]) -> None:
        gate = asyncio.Event()
        self._gates.append(gate)
        self.begun.append([item.number for item in batch])
        await gate.wait()
        for item in batch:
            item.outcome.set_result(item.number)

    def submit(self, subject: str) -> Item:
        self._count += 1
        item = Item(subject=subject, number=self._count)
        self.collector.submit(item)
        return item

    async def end(self, number: int) -> None:
        self._gates[number].set()
        await turns()


async def turns() -> None:
    """Let everything that can run now run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_alone_begins_at_once_and_what_comes_meanwhile_goes_as_one() -> None:
    bench = Bench(lanes=1)
    first = bench.submit("a")
    await turns()
    for subject in "bcde":
        bench.submit(subject)
    await turns()
    assert bench.begun == [[1]]
    await bench.end(0)
    assert bench.begun == [[1], [2, 3, 4, 5]]
    assert await first.outcome == 1


async def test_what_arrives_in_one_turn_of_the_loop_goes_together() -> None:
    bench = Bench(lanes=2)
    for subject in "abc":
        bench.submit(subject)
    await turns()
    assert bench.begun == [[1, 2, 3]]


async def test_a_subject_is_never_in_two_batches_at_once_and_keeps_its_order() -> None:
    bench = Bench(lanes=2)
    bench.submit("a")
    await turns()
    bench.submit("a")
    bench.submit("b")
    bench.submit("a")
    await turns()
    assert bench.begun == [[1], [3]]
    await bench.end(0)
    assert bench.begun == [[1], [3], [2, 4]]


async def test_a_batch_is_bounded_and_the_rest_follows() -> None:
    bench = Bench(lanes=1, most=2)
    for subject in "abcde":
        bench.submit(subject)
    for number in range(3):
        await turns()
        await bench.end(number)
    assert bench.begun == [[1, 2], [3, 4], [5]]


async def test_a_batch_that_fails_tells_each_of_its_items_and_the_next_one_runs() -> None:
    async def run(batch: Sequence[Item]) -> None:
        if any(item.number == 1 for item in batch):
            raise OSError("gone")
        for item in batch:
            item.outcome.set_result("done")

    collector: Collector[Item] = Collector(run=run)
    items = [Item(subject="a", number=n) for n in (1, 1)]
    for item in items:
        collector.submit(item)
    await turns()
    for item in items:
        with pytest.raises(OSError, match="gone"):
            await item.outcome
    later = Item(subject="a", number=2)
    collector.submit(later)
    assert await later.outcome == "done"


async def test_a_caller_who_goes_away_harms_nobody() -> None:
    bench = Bench(lanes=1)
    gone, stays = bench.submit("a"), bench.submit("b")
    await turns()
    gone.outcome.cancel()

    async def run(batch: Sequence[Item]) -> None:
        for item in batch:
            if not item.outcome.done():
                item.outcome.set_result("done")

    patient: Collector[Item] = Collector(run=run)
    patient.submit(gone)
    after = Item(subject="c", number=9)
    patient.submit(after)
    assert await after.outcome == "done"
    stays.outcome.cancel()


async def test_whoever_would_wait_too_long_is_told_so_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batching, "WAITING_MAX", 3)
    bench = Bench(lanes=1)
    for subject in "abc":
        bench.submit(subject)
    with pytest.raises(Busy):
        bench.submit("d")


async def test_closing_waits_for_what_was_taken_in() -> None:
    bench = Bench(lanes=1)
    item = bench.submit("a")
    await turns()
    closing = asyncio.create_task(bench.collector.close())
    await turns()
    assert not closing.done()
    await bench.end(0)
    await closing
    assert item.outcome.done()
