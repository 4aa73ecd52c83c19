"""The runner of batches: whatever goes wrong with one request, its neighbours get their own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import asyncpg

from shared.batch_runner import BatchRunner
from shared.batches import Answered, NeedsCare, Saving, Submission
from shared.db import Occasion
from shared.idempotency import Claim, Stored
from shared.kernel.clock import FixedClock
from tests.support.service import NOON

FIRST_REPLY = Stored(status=201, body=b"first")
LOST = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

Row = dict[str, Any]


@dataclass
class Connection:
    """A server that keeps replies by key; one claim of several keys waits in vain for another."""

    kept: dict[str, Stored] = field(default_factory=dict)
    #: The key whose transaction loses its connection at the commit.
    lost_at: str = ""
    _claimed: Sequence[str] = ()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield
        if self.lost_at in self._claimed:
            raise LOST

    async def execute(self, statement: str) -> None:
        """Be patient or not: nobody is waited for here."""

    async def fetch(
        self, statement: str, scopes: Sequence[str], keys: Sequence[str], *_: object
    ) -> list[Row]:
        if "insert into idempotency_keys" in statement:
            if len(keys) > 1:
                raise asyncpg.LockNotAvailableError
            self._claimed = keys
            return [{"scope": "s", "key": key} for key in keys if key not in self.kept]
        return [
            {"scope": "s", "key": key, "fingerprint": b"same", "status": stored.status,
             "media_type": stored.media_type, "body": stored.body}
            for key, stored in self.kept.items() if key in keys
        ]  # fmt: skip


class Lanes:
    """What a database lends to batches."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Connection]:
        yield self._connection


class Database:
    clock = FixedClock(NOON)

    def __init__(self, connection: Connection) -> None:
        self.lanes = Lanes(connection)


class Careful:
    """An operation that is never done the quick way."""

    def subject(self, command: str) -> str:
        return command

    async def load(
        self, connection: Any, commands: Sequence[str], *, now: datetime, careful: bool
    ) -> bool:
        return careful

    def decide(self, state: bool, command: str, occasion: Occasion) -> str:
        if not state:
            raise NeedsCare
        return command

    async def save(self, connection: Any, state: bool, saving: Saving) -> None:
        connection.kept |= {claim.key: stored for claim, stored in saving.replies}


def asked(key: str) -> Submission[str, str]:
    return Submission(
        subject=key,
        command=key,
        actor="test",
        claim=Claim(scope="s", key=key, fingerprint=b"same"),
        reply=lambda result: Stored(status=201, body=result.encode()),
        refusal=lambda refusal: Stored(status=409, body=refusal.code.encode()),
    )


async def run(
    connection: Connection, *batch: Submission[str, str], operation: "Careful | None" = None
) -> list[object]:
    """Run a batch; the outcomes, of whatever kind they are."""
    runner: BatchRunner[str, bool, str] = BatchRunner(
        database=Database(connection),  # type: ignore[arg-type]
        operation=operation or Careful(),
    )
    await runner.run(batch)
    return await asyncio.gather(*(one.outcome for one in batch), return_exceptions=True)


def answer(key: str) -> Answered:
    return Answered(stored=Stored(status=201, body=key.encode()))


async def test_a_replay_survives_a_lost_commit_and_so_do_its_neighbours() -> None:
    connection = Connection(kept={"again": FIRST_REPLY}, lost_at="again")
    outcomes = await run(connection, asked("again"), asked("one"), asked("other"))
    replay = Answered(stored=FIRST_REPLY, replayed=True)
    assert outcomes == [replay, answer("one"), answer("other")]


async def test_of_one_who_has_gone_away_a_lost_commit_troubles_nobody_else() -> None:
    gone = asked("gone")

    class Leaving(Connection):
        async def fetch(self, *given: Any) -> list[Row]:
            found = await super().fetch(*given)
            gone.outcome.cancel()
            return found

    outcomes = await run(Leaving(lost_at="gone"), gone, asked("one"), asked("other"))
    assert outcomes[1:] == [answer("one"), answer("other")]


async def test_whose_commit_is_lost_is_told_and_the_neighbours_get_their_own() -> None:
    connection = Connection(lost_at="lost")
    outcomes = await run(connection, asked("lost"), asked("one"), asked("other"))
    assert outcomes == [LOST, answer("one"), answer("other")]


class Quick(Careful):
    """An operation that the quick way can do, each key once; it counts how often it loads."""

    def __init__(self) -> None:
        self.loads: list[int] = []

    async def load(
        self, connection: Any, commands: Sequence[str], *, now: datetime, careful: bool
    ) -> bool:
        self.loads.append(len(commands))
        return True


async def test_who_repeats_a_key_in_a_batch_takes_it_from_nobody() -> None:
    connection, operation = Connection(), Quick()
    first, twin, third = asked("same"), asked("same"), asked("same")
    batch = [asked("one"), first, twin, asked("other"), third]
    assert await run(connection, *batch, operation=operation) == [
        answer("one"),
        answer("same"),
        Answered(stored=answer("same").stored, replayed=True),
        answer("other"),
        Answered(stored=answer("same").stored, replayed=True),
    ]
    assert operation.loads == [3]


async def test_a_reply_that_cannot_be_made_is_that_requests_trouble_alone() -> None:
    broken = replace(asked("broken"), reply=lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    outcomes = await run(Connection(), asked("one"), broken, asked("other"), operation=Quick())
    assert outcomes[0] == answer("one")
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert outcomes[2] == answer("other")
