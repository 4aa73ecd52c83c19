"""What becomes of the requests of a batch, and how each of them is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from shared.batches import Answered, Stale, Submission
from shared.batching import Busy
from shared.idempotency import IdempotencyInFlight, IdempotencyKeyReused, Stored
from shared.outbox import NewEvent

Command = TypeVar("Command")
Result = TypeVar("Result")


@dataclass(kw_only=True)
class Outcomes(Generic[Command, Result]):
    """What was decided: replies to be kept, what is not kept, what needs more care, and events."""

    kept: list[tuple[Submission[Command, Result], Stored]] = field(default_factory=list)
    refused: list[tuple[Submission[Command, Result], Exception]] = field(default_factory=list)
    aside: list[Submission[Command, Result]] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)

    def tell(self) -> None:
        """Answer all but those that are set aside."""
        for one, stored in self.kept:
            if not one.outcome.done():
                one.outcome.set_result(Answered(stored=stored))
        for one, refusal in self.refused:
            fail(one, refusal)


def replay(one: Submission[Any, Any], known: dict[tuple[str, str], tuple[bytes, Stored]]) -> None:
    """Answer with the reply on record under the key, if the request is the same."""
    found = known.get(key_of(one))
    if found is None:
        fail(one, IdempotencyInFlight())
    elif found[0] != one.claim.fingerprint:
        fail(one, IdempotencyKeyReused())
    elif not one.outcome.done():
        one.outcome.set_result(Answered(stored=found[1], replayed=True))


def fail(one: Submission[Any, Any], trouble: Exception) -> None:
    """Tell what went wrong, unless the caller has gone away or has an answer."""
    if not one.outcome.done():
        one.outcome.set_exception(Busy() if isinstance(trouble, Stale) else trouble)


def key_of(one: Submission[Any, Any]) -> tuple[str, str]:
    """Scope and key under which the reply is kept."""
    return one.claim.scope, one.claim.key


def by_key(
    batch: Sequence[Submission[Command, Result]],
) -> tuple[list[Submission[Command, Result]], list[Submission[Command, Result]]]:
    """The first of each key, and the others."""
    firsts: dict[tuple[str, str], Submission[Command, Result]] = {}
    for one in batch:
        firsts.setdefault(key_of(one), one)
    return list(firsts.values()), [one for one in batch if firsts[key_of(one)] is not one]
