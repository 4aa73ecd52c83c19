"""A caller as a careful storefront writes it: the same key again until there is an answer."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import httpx

from tests.chaos.crashes.journal import Asked, Journal, Kind

#: Refusals of the business that the load runs into; they are answers like any other.
_EXPECTED: Final = {
    "insufficient_points", "redemption_closed", "refund_exceeds_payment", "points_cooling",
    "transfer_limit_reached", "transfer_count_reached",
}  # fmt: skip
#: The first request with the key is still at work: come back.
_AGAIN: Final = "idempotency_in_flight"
#: How many of those who got no answer do not ask again.
_WALK_AWAY: Final = 0.02
_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 0.8


class Caller:
    """Sends operations through the gateway and keeps the journal."""

    def __init__(self, *, http: httpx.AsyncClient, journal: Journal, same_key: bool = True) -> None:
        """`same_key=False` is a caller as they should not be, to prove that it shows."""
        self._http = http
        self._same_key = same_key
        self.journal = journal

    async def ask(
        self, kind: Kind, path: str, body: Mapping[str, Any], *, id: str | None = None
    ) -> Asked:
        """Ask until it is acknowledged; a few give up after a failure, as shoppers do."""
        asked = self.journal.note(kind, path, body, id=id or self.journal.fresh(kind))
        wait = _FIRST_WAIT_S
        while not await self._once(asked):
            if random.random() < _WALK_AWAY:
                self.journal.abandon(asked)
                break
            await asyncio.sleep(random.uniform(0, wait))
            wait = min(2 * wait, _LONGEST_WAIT_S)
        return asked

    async def again(self, asked: Asked) -> httpx.Response:
        """Send what was asked once more, with its key."""
        key = asked.id if self._same_key or asked.tries == 1 else uuid4().hex
        return await self._http.post(asked.path, json=asked.body, headers={"Idempotency-Key": key})

    async def _once(self, asked: Asked) -> bool:
        """Whether there was an answer."""
        asked.tries += 1
        try:
            answer = await self.again(asked)
        except httpx.TransportError:
            return False
        if answer.status_code in (502, 503, 504):
            return False
        if answer.status_code >= 400:
            code = answer.json().get("code")
            if code == _AGAIN:
                return False
            if code not in _EXPECTED:
                self.journal.strange.append(f"{asked.kind} {asked.path}: {answer.text}")
                return False
        self.journal.acknowledge(asked, status=answer.status_code, reply=answer.content)
        return True
