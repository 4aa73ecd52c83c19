"""Moving the sandbox's clock: asked for here, made by `Journey`."""

from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.store import test_clock as store
from gateway.store.test_clock import Advance
from shared.db import Transaction
from shared.kernel.errors import Refusal, RefusalKind

#: The furthest one move goes: ten years.
ADVANCE_MAX_S: Final = 10 * 366 * 86_400
#: Moments that callers write lie before 2100, so the clock stays well before.
_LATEST: Final = datetime(2099, 1, 1, tzinfo=UTC)


class SandboxOnly(Refusal):
    """The time of a live system is nobody's to move."""

    code = "sandbox_only"
    kind = RefusalKind.not_found


class ClockIsMoving(Refusal):
    """A move is being made; the next can be asked for when it has settled."""

    code = "clock_is_moving"


class ClockTooFar(Refusal):
    """The clock would come to where moments can no longer be written."""

    code = "clock_too_far"


async def ask_for_advance(transaction: Transaction, *, seconds: int) -> Advance:
    """Note a move from the present moment. Raises ClockTooFar and ClockIsMoving."""
    from_at = transaction.now
    to_at = from_at + timedelta(seconds=seconds)
    if to_at >= _LATEST:
        raise ClockTooFar(latest=_LATEST.date().isoformat())
    advance = await store.add_advance(
        transaction.session, from_at=from_at, to_at=to_at, actor=transaction.actor
    )
    if advance is None:
        raise ClockIsMoving
    return advance
