"""One run: the system as `make run` starts it, shoppers, the killer, and the quiet afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import httpx

from tests.chaos.crashes.books import Books, opened
from tests.chaos.crashes.caller import Caller
from tests.chaos.crashes.journal import Journal
from tests.chaos.crashes.killer import Killer
from tests.chaos.crashes.shopper import Shopper, Town
from tests.e2e.runner_process import RunnerProcess
from tests.support.waiting import until

Bug = Literal["acknowledged_before_commit", "new_key_for_each_attempt"]

SHOPPERS: Final = 12
_MEMBERS_EACH: Final = 3
#: How long shoppers may need to get their last answers after the last kill.
_LONGEST_S: Final = 120.0
#: One event in so many is written by a transaction that dawdles at its commit.
_DAWDLES: Final = 0.05
_DAWDLES_MS: Final = 50


@dataclass(kw_only=True)
class CrashRig:
    """A running system with its databases at hand."""

    journal: Journal
    caller: Caller
    killer: Killer
    loyalty: Books
    segmentation: Books
    referral: Books
    #: From the last kill until every answer was there and every consumer stood at the head.
    recovered_s: float = 0.0

    async def run(self, *, kills: int, told: Callable[[int], None] = lambda _count: None) -> None:
        """Shop and kill; returns when all is quiet and caught up again."""
        town = Town()
        shoppers = [Shopper(caller=self.caller, town=town) for _ in range(SHOPPERS)]
        await asyncio.gather(*(one.begin(members=_MEMBERS_EACH) for one in shoppers))
        closing = asyncio.Event()
        shopping = [asyncio.create_task(one.go_on(until=closing)) for one in shoppers]
        killing = asyncio.create_task(self.killer.kill(times=kills, told=told))
        await asyncio.wait([killing, *shopping], return_when=asyncio.FIRST_COMPLETED)
        closing.set()
        await killing
        async with asyncio.timeout(_LONGEST_S):
            await asyncio.gather(*shopping)
        await until(self._caught_up, what="the consumers to reach the head", within_s=_LONGEST_S)
        self.recovered_s = time.monotonic() - self.killer.last_at

    async def _caught_up(self) -> bool:
        try:
            own = await self._stands_at_head(self.loyalty, self.segmentation, "loyalty")
            return (
                own
                and await self._stands_at_head(self.loyalty, self.referral, "loyalty")
                and await self._stands_at_head(self.referral, self.loyalty, "referral")
            )
        except Exception:  # PostgreSQL is on its way back
            return False

    async def _stands_at_head(self, producer: Books, consumer: Books, name: str) -> bool:
        pending = await producer.scalar("select count(*) from outbox where pos is null")
        head = await producer.scalar("select pos from feed_head")
        cursors = "select coalesce(max(pos), 0) from event_cursors where producer = :name"
        return bool(pending == 0 and head == await consumer.scalar(cursors, name=name))


@asynccontextmanager
async def crash_rig(directory: Path, *, bug: Bug | None = None) -> AsyncIterator[CrashRig]:
    """A fresh system of real processes on durable servers of its own, in this directory.

    With a bug it is to be caught: in the callers, or planted into the processes.
    """
    planted = {"PYTHONPATH": str(_PLANTED)} if bug == "acknowledged_before_commit" else {}
    async with RunnerProcess(directory / "data", planted) as runner:
        key = await runner.first_key()
        urls = [runner.published()[f"{name}_DATABASE_URL"] for name in _SERVICES]
        headers = {"Authorization": f"Bearer {key}"}
        limits = httpx.Limits(max_connections=2 * SHOPPERS)
        async with (
            opened(urls) as (loyalty, segmentation, referral),
            httpx.AsyncClient(
                base_url=runner.address,
                headers=headers,
                timeout=30,
                limits=limits,
                trust_env=False,
            ) as http,
        ):
            await dawdle(loyalty)
            journal = Journal(file=directory / "journal.jsonl")
            yield CrashRig(
                journal=journal,
                caller=Caller(
                    http=http, journal=journal, same_key=bug != "new_key_for_each_attempt"
                ),
                killer=Killer(runner=runner, answered=lambda: journal.acknowledged),
                loyalty=loyalty,
                segmentation=segmentation,
                referral=referral,
            )


async def dawdle(books: Books) -> None:
    """Let some transactions wait between drawing the ids of their events and their commit."""
    await books.change(
        "create function dawdle() returns trigger language plpgsql as $$ begin"
        f" if random() < {_DAWDLES} then perform pg_sleep(random() * {_DAWDLES_MS} / 1000.0);"
        " end if; return null; end $$",
        "create constraint trigger dawdle after insert on outbox"
        " deferrable initially deferred for each row execute function dawdle()",
    )


_PLANTED: Final = Path(__file__).parent / "planted"
_SERVICES: Final = ("LOYALTY", "SEGMENTATION", "REFERRAL")
