"""Batches of hot requests: one transaction for all that arrived together, an outcome for each.

The quick way is two round trips and one commit: read what the decisions need, decide in pure code,
write everything in one statement that fails if anything it was decided on has changed since. The
careful way locks first, as ordinary writes do; it is for what the quick one ran into: a repeated
key, a fact that is known already, somebody else at the same member. What even that cannot do
together is done one by one, so that no request harms its neighbours.
"""

import asyncio
import contextvars
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from shared.db import Occasion
from shared.idempotency import (
    Claim,
    Stored,
)
from shared.kernel.errors import Refusal
from shared.lanes import Connection
from shared.outbox import NewEvent

Command = TypeVar("Command")
State = TypeVar("State")
Given = TypeVar("Given", contravariant=True)
Told = TypeVar("Told", covariant=True)
Result = TypeVar("Result")


class Stale(Exception):
    """What was decided on has changed meanwhile; nothing was written."""


class NeedsCare(Exception):
    """A command that this way cannot decide: after the quick way there is the careful one, after
    that the ordinary transaction.
    """


class NeedsOwnTransaction(Exception):
    """A command that no batch can decide, quick or careful: the ordinary transaction at once."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A stored reply, and whether it is an earlier one."""

    stored: Stored
    replayed: bool = False


@dataclass(kw_only=True, eq=False)
class Submission(Generic[Command, Result]):
    """One request in the queue."""

    subject: Hashable
    command: Command
    actor: str
    claim: Claim
    #: Words for the caller, made in the context of its own request.
    reply: Callable[[Result], Stored]
    refusal: Callable[[Refusal], Stored]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    outcome: "asyncio.Future[object]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What is written beside the operation's own rows: replies under their keys, events."""

    replies: Sequence[tuple[Claim, Stored]]
    events: Sequence[NewEvent]
    now: datetime


class BatchOperation(Protocol[Given, State, Told]):
    """A hot operation: load many, decide each, save many."""

    def subject(self, command: Given) -> str:
        """Whose row the command will change, as far as the command tells."""
        ...

    async def load(
        self, connection: Connection, commands: Sequence[Given], *, now: datetime, careful: bool
    ) -> State:
        """Read what the decisions need; `careful`: lock it first, and look for what is known."""
        ...

    def decide(self, state: State, command: Given, occasion: Occasion) -> Told:
        """Decide one command after the other, each on what the one before it left.

        Raises Refusal, NeedsCare or NeedsOwnTransaction, having left the state as it was.
        """
        ...

    async def save(self, connection: Connection, state: State, saving: Saving) -> None:
        """Write all in one statement. Raises Stale."""
        ...
