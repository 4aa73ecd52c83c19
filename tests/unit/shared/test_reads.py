"""Reads that are asked for together are one query, and each gets its own answer."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from shared.kernel.clock import FixedClock
from shared.reads import BatchedRead
from tests.support.service import NOON


class Lanes:
    """What a database lends to reads."""

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        yield None


class Database:
    lanes = Lanes()
    clock = FixedClock(NOON)


async def test_what_is_asked_together_is_one_query_and_what_is_unknown_is_none() -> None:
    asked: list[list[str]] = []

    async def read(_: Any, keys: Sequence[str], now: datetime) -> Mapping[str, str]:
        assert now == NOON
        asked.append(list(keys))
        return {key: f"wallet of {key}" for key in keys if key != "nobody"}

    reads: BatchedRead[str] = BatchedRead(database=Database(), read=read)  # type: ignore[arg-type]
    found = await asyncio.gather(*(reads.find(key) for key in ("b", "a", "nobody", "a")))
    assert found == ["wallet of b", "wallet of a", None, "wallet of a"]
    assert asked == [["a", "b", "nobody"]]


async def test_a_query_that_fails_tells_all_who_asked() -> None:
    async def read(*_: Any) -> Mapping[str, str]:
        raise OSError("gone")

    reads: BatchedRead[str] = BatchedRead(database=Database(), read=read)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="gone"):
        await asyncio.gather(reads.find("a"), reads.find("b"))
