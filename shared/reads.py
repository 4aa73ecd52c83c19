"""Reads that are asked for together are one query."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar, cast

from shared.batching import Collector
from shared.db import Database
from shared.lanes import Connection

Found = TypeVar("Found")

ReadMany = Callable[[Connection, Sequence[str], datetime], Awaitable[Mapping[str, Found]]]


@dataclass(kw_only=True, eq=False)
class _Question:
    key: str
    outcome: "asyncio.Future[object]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def subject(self) -> int:
        """Reads keep nobody waiting: each is a subject of its own."""
        return id(self)


class BatchedRead(Generic[Found]):
    """Finds things by their keys, as many in one query as are asked for at the same time."""

    def __init__(self, *, database: Database, read: ReadMany[Found]) -> None:
        self._database = database
        self._read = read
        self.collector: Collector[_Question] = Collector(run=self._answer)

    async def find(self, key: str) -> Found | None:
        """What a key stands for; None when there is no such thing."""
        question = _Question(key=key)
        self.collector.submit(question)
        return cast("Found | None", await question.outcome)

    async def _answer(self, questions: Sequence[_Question]) -> None:
        keys = sorted({one.key for one in questions})
        async with self._database.lanes.take() as connection:
            found = await self._read(connection, keys, self._database.clock.now())
        for one in questions:
            if not one.outcome.done():
                one.outcome.set_result(found.get(one.key))
