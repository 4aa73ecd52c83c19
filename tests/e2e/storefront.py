"""What a storefront does, over the public API alone."""

import itertools
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.support.waiting import until


@dataclass
class Storefront:
    """Calls through the gateway; fails when a reply is not the expected one."""

    http: httpx.AsyncClient
    _run: str = field(default_factory=lambda: secrets.token_hex(4))
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def fresh(self, kind: str) -> str:
        """An id of our own that was never used."""
        return f"{kind}-{self._run}-{next(self._numbers)}"

    async def get(self, path: str, **params: str) -> Any:
        """Read; the reply must be 200."""
        reply = await self.http.get(path, params=params)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def post(self, path: str, body: object, *, expect: int = 201) -> Any:
        """Write with a fresh key; the reply must be as expected."""
        reply = await self.send(path, body)
        assert reply.status_code == expect, reply.text
        return reply.json() if reply.content else None

    async def send(self, path: str, body: object, *, key: str | None = None) -> httpx.Response:
        """Write and return whatever comes."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return await self.http.post(path, json=body, headers=headers)

    async def enrol(self, **more: object) -> str:
        """A new member's id."""
        identity = {"kind": "external", "value": self.fresh("user")}
        member = await self.post("/v1/members", {"identities": [identity], **more})
        member_id: str = member["id"]
        return member_id

    async def order(self, member_id: str, *, paid_fen: int, **more: object) -> str:
        """A paid order's id."""
        order_id = self.fresh("order")
        item = {"sku": "TEA-250", "category": "tea", "quantity": 1, "paid_fen": paid_fen}
        await self.post(
            "/v1/orders",
            {
                "order_id": order_id,
                "member_id": member_id,
                "paid_fen": paid_fen,
                "items": [item],
                "paid_at": now(),
                **more,
            },
        )
        return order_id

    async def refund(self, order_id: str, *, amount_fen: int) -> Any:
        """A refund of an order."""
        return await self.post(
            f"/v1/orders/{order_id}/refunds",
            {"refund_id": self.fresh("refund"), "amount_fen": amount_fen, "refunded_at": now()},
        )

    async def wallet(self, member_id: str) -> Any:
        """A member's wallet."""
        return await self.get(f"/v1/members/{member_id}/wallet")

    async def vouchers(self, member_id: str, *, state: str = "issued") -> Any:
        """A member's vouchers in a state."""
        return (await self.get(f"/v1/members/{member_id}/vouchers", state=state))["data"]

    async def referral_code(self, member_id: str) -> str:
        """A member's code to share."""
        code: str = (await self.get(f"/v1/members/{member_id}/referral_code"))["code"]
        return code

    async def eventually(self, path: str, holds: Callable[[Any], bool], **params: str) -> Any:
        """Read again and again until what is wanted holds: events take a moment."""
        found: Any = None

        async def look() -> bool:
            nonlocal found
            found = await self.get(path, **params)
            return holds(found)

        await until(look, what=f"{path} to change", within_s=30)
        return found


def now() -> str:
    """This moment, as callers write it."""
    return datetime.now(UTC).isoformat()
