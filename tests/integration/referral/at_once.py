"""Facts that come at the same moment: applied past the cursor, which would take them in turn."""

import asyncio
from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError

from services.referral.subscribers import FROM_LOYALTY
from shared.contracts.envelope import CloudEvent, EventData
from shared.db import is_transient
from tests.integration.referral.loyalty_played import Circle

TWENTY_EACH = [
    ("enrolled", "referrer", 2_000, "issued"),
    ("enrolled", "referee", 2_000, "issued"),
]
FIFTY = ("first_order", "referrer", 5_000, "issued")


async def at_once(circle: Circle, events: Sequence[CloudEvent]) -> None:
    """Apply events each in a transaction of its own, past the cursor, as many as can at once.

    Who waits too long for a lock comes again, as the subscriber does.
    """
    connections = asyncio.Semaphore(10)

    async def one(event: CloudEvent) -> None:
        async with connections:
            while not await applied(event):
                pass

    async def applied(event: CloudEvent) -> bool:
        try:
            await circle.referral.database.run(
                lambda transaction: FROM_LOYALTY[event.type](transaction, event),
                actor="event:loyalty",
            )
        except DBAPIError as error:
            if is_transient(error):
                return False
            raise
        return True

    await asyncio.gather(*(one(event) for event in events))


def events_of(circle: Circle, *facts: EventData) -> list[CloudEvent]:
    """Facts as events that are not in the log: for applying past the cursor."""
    events = [circle.loyalty.envelope(fact) for fact in facts]
    del circle.loyalty.told[-len(events) :]
    return events


async def due(circle: Circle) -> int:
    """How many rewards loyalty has been asked for."""
    return int(
        await circle.referral.scalar(
            "select count(*) from outbox where type = 'referral.reward_due.v1'"
        )
    )
