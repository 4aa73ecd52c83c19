"""Running the batches of a hot operation: the quick way, the careful way, one by one."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Generic, TypeVar

import asyncpg

from shared.batch_outcomes import Outcomes, by_key, fail, key_of, replay
from shared.batches import BatchOperation, NeedsCare, Saving, Stale, Submission
from shared.db import Database, Occasion, is_transient
from shared.idempotency import IdempotencyInFlight, claim_keys, find_replies
from shared.kernel.errors import Refusal, RefusalKind
from shared.lanes import WAIT_LONG, Connection
from shared.telemetry import BATCHED

_ATTEMPTS: Final = 3
_KEPT_REFUSALS: Final = (RefusalKind.conflict, RefusalKind.not_found)

Command = TypeVar("Command")
State = TypeVar("State")
Result = TypeVar("Result")


class BatchRunner(Generic[Command, State, Result]):
    """Runs the batches of one operation."""

    def __init__(
        self, *, database: Database, operation: BatchOperation[Command, State, Result]
    ) -> None:
        self._database = database
        self._operation = operation
        self._name = type(operation).__name__.lower()

    async def run(self, batch: Sequence[Submission[Command, Result]]) -> None:
        """Give every submission its outcome.

        Who has the key of one before them comes after it, and finds its reply.
        """
        firsts, twins = by_key(batch)
        left: Sequence[Submission[Command, Result]] = firsts
        try:
            left = await self._quickly(firsts)
        except Exception as error:
            if _is_away(error):
                raise
        if left:
            await self._carefully(left)
        while twins:
            firsts, twins = by_key(twins)
            await self._carefully(firsts)

    async def _quickly(
        self, batch: Sequence[Submission[Command, Result]]
    ) -> "list[Submission[Command, Result]]":
        """Serve the batch; what needs more care is left."""
        now = self._database.clock.now()
        commands = [one.command for one in batch]
        async with self._database.lanes.take() as connection:
            state = await self._operation.load(connection, commands, now=now, careful=False)
            outcomes = await self._decide_and_save(connection, state, batch, now=now)
        BATCHED.labels(self._name, "quick").inc(len(outcomes.kept))
        self._tell(outcomes)
        return outcomes.aside

    async def _carefully(self, batch: Sequence[Submission[Command, Result]]) -> None:
        """All together, or one by one if that is refused as a whole.

        Each is tried once before anybody is waited for: whose row somebody else holds must not
        keep the others.
        """
        if len(batch) == 1:
            await self._alone(batch[0])
            return
        try:
            await self._locked(batch)
        except Exception as error:
            if _is_away(error):
                raise
        else:
            return
        for one in [one for one in batch if not await self._tried(one)]:
            await self._alone(one)

    async def _tried(self, one: Submission[Command, Result]) -> bool:
        """Whether a request has its outcome after an attempt that waits for nobody for long."""
        if not one.outcome.done():
            try:
                await self._locked([one])
            except _CURABLE:
                return one.outcome.done()
            except Exception as trouble:
                fail(one, trouble)
        return True

    async def _alone(self, one: Submission[Command, Result]) -> None:
        """One request by itself: a few attempts against races, then it is told what is wrong."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._locked([one], patiently=True)
            except Exception as trouble:
                if one.outcome.done():  # by its first reply, or by a caller who went away
                    return
                if attempt == _ATTEMPTS or not isinstance(trouble, _RACES):
                    fail(one, trouble)
                    return
                await asyncio.sleep(0.01 * attempt)
            else:
                return

    async def _locked(
        self, batch: Sequence[Submission[Command, Result]], *, patiently: bool = False
    ) -> None:
        now = self._database.clock.now()
        async with self._database.lanes.take() as connection, connection.transaction():
            if patiently:
                await connection.execute(WAIT_LONG)
            fresh = await self._claimed(connection, batch, now=now)
            if not fresh:
                return
            commands = [one.command for one in fresh]
            state = await self._operation.load(connection, commands, now=now, careful=True)
            outcomes = await self._decide_and_save(connection, state, fresh, now=now)
            if outcomes.refused or outcomes.aside:
                # Their keys must not stay claimed: by itself, each undoes its own attempt.
                if len(batch) > 1:
                    raise Stale
                raise outcomes.refused[0][1] if outcomes.refused else NeedsCare
        BATCHED.labels(self._name, "careful" if len(batch) > 1 else "alone").inc(len(batch))
        self._tell(outcomes)

    async def _claimed(
        self,
        connection: Connection,
        batch: Sequence[Submission[Command, Result]],
        *,
        now: datetime,
    ) -> "list[Submission[Command, Result]]":
        """Those whose keys are new; the others get their first reply, or what is wrong."""
        firsts = {key_of(one): one for one in batch}
        try:
            ours = await claim_keys(
                connection, [firsts[key].claim for key in sorted(firsts)], now=now
            )
        except asyncpg.LockNotAvailableError:
            if len(batch) == 1:
                raise IdempotencyInFlight from None
            raise
        others = [one for key, one in firsts.items() if key not in ours]
        if others:
            known = await find_replies(connection, [one.claim for one in others])
            for one in others:
                replay(one, known)
        return [one for key, one in firsts.items() if key in ours]

    async def _decide_and_save(
        self,
        connection: Connection,
        state: State,
        batch: Sequence[Submission[Command, Result]],
        *,
        now: datetime,
    ) -> Outcomes[Command, Result]:
        outcomes: Outcomes[Command, Result] = Outcomes()
        for one in batch:
            one.context.run(self._decide, state, one, outcomes, now)
        saving = Saving(
            replies=[(one.claim, stored) for one, stored in outcomes.kept],
            events=outcomes.events,
            now=now,
        )
        if saving.replies:
            await self._operation.save(connection, state, saving)
        return outcomes

    def _decide(
        self,
        state: State,
        one: Submission[Command, Result],
        outcomes: Outcomes[Command, Result],
        now: datetime,
    ) -> None:
        occasion = Occasion(now=now, actor=one.actor)
        try:
            result = self._operation.decide(state, one.command, occasion)
        except Refusal as refusal:
            if refusal.kind in _KEPT_REFUSALS:
                outcomes.kept.append((one, one.refusal(refusal)))
            else:
                outcomes.refused.append((one, refusal))
            return
        except NeedsCare:
            outcomes.aside.append(one)
            return
        except Exception as fault:
            # A defect, or the need of an own transaction, is that request's alone.
            outcomes.refused.append((one, fault))
            return
        outcomes.kept.append((one, one.reply(result)))
        outcomes.events += occasion.events

    def _tell(self, outcomes: Outcomes[Command, Result]) -> None:
        if outcomes.events:
            self._database.on_events()
        outcomes.tell()


def _is_away(error: Exception) -> bool:
    """The server or its connection fails, so nobody would fare better alone."""
    if not isinstance(error, asyncpg.PostgresError):
        return is_transient(error)
    state = error.sqlstate or "08000"
    return state[:2] in {"08", "53", "58"} or (state[:2] == "57" and state != _CANCELLED)


_CANCELLED: Final = "57014"

#: What another transaction may have caused, and another attempt may cure.
_RACES: Final = (
    Stale,
    asyncpg.UniqueViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
#: The same, and a key that somebody else is at work on.
_CURABLE: Final = (*_RACES, IdempotencyInFlight)
