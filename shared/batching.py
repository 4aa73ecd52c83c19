"""The collector: hands over together what has queued while earlier batches ran.

With one caller it adds no wait, since a batch begins as soon as a lane is free; with many it makes
one transaction serve them all. Nothing is timed: the size of a batch follows from the load.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from shared.kernel.errors import Refusal, RefusalKind

#: How many batches may be under way at once in a process: one is decided while others are written.
LANES: Final = 4
#: The most that one batch holds, so that none takes long.
BATCH_MAX: Final = 128
#: The most that may wait; a process that is further behind says so instead of answering too late.
WAITING_MAX: Final = 5_000


class Busy(Refusal):
    """More is going on than can be answered in time; nothing was done, trying again may help."""

    code = "temporarily_unavailable"
    kind = RefusalKind.unavailable


class Queued(Protocol):
    """What can be collected: it waits for its own outcome."""

    outcome: "asyncio.Future[object]"

    @property
    def subject(self) -> Hashable:
        """Two batches under way never hold the same, so they do not wait for each other's row."""
        ...


Item = TypeVar("Item", bound=Queued)


class Collector(Generic[Item]):
    """Collects items into batches and runs them, a few at once."""

    def __init__(
        self,
        *,
        run: Callable[[Sequence[Item]], Awaitable[None]],
        lanes: int = LANES,
        most: int = BATCH_MAX,
    ) -> None:
        self._run = run
        self._lanes = lanes
        self._most = most
        self._waiting: list[Item] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._busy: set[Hashable] = set()
        self._woken = False

    def submit(self, item: Item) -> None:
        """Queue an item; its outcome comes when its batch is done. Raises Busy."""
        if len(self._waiting) >= WAITING_MAX:
            raise Busy
        self._waiting.append(item)
        self._wake()

    async def close(self) -> None:
        """Wait until everything that was taken in has its outcome."""
        while self._under_way or self._waiting:
            await asyncio.sleep(0)
            if self._under_way:
                await asyncio.wait(self._under_way)

    def _wake(self) -> None:
        # At the end of this turn of the loop: what else arrives within it goes along.
        if not self._woken and self._waiting and len(self._under_way) < self._lanes:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._woken = False
        batch = self._next_batch()
        if not batch:
            return
        subjects = {item.subject for item in batch}
        self._busy |= subjects
        task = asyncio.create_task(self._run_to_end(batch))
        self._under_way.add(task)
        task.add_done_callback(lambda done: self._ended(done, subjects))
        self._wake()

    def _next_batch(self) -> list[Item]:
        """What may go now, in the order of arrival; no item overtakes one of its own subject."""
        if not self._busy and len(self._waiting) <= self._most:
            everything, self._waiting = self._waiting, []
            return everything
        batch: list[Item] = []
        left: list[Item] = []
        for item in self._waiting:
            free = len(batch) < self._most and item.subject not in self._busy
            (batch if free else left).append(item)
        self._waiting = left
        return batch

    async def _run_to_end(self, batch: Sequence[Item]) -> None:
        try:
            await self._run(batch)
        except Exception as failure:
            for item in batch:
                if not item.outcome.done():
                    item.outcome.set_exception(failure)
        finally:
            for item in batch:
                if not item.outcome.done():
                    item.outcome.cancel()

    def _ended(self, task: "asyncio.Task[None]", subjects: set[Hashable]) -> None:
        self._under_way.discard(task)
        self._busy -= subjects
        self._wake()
