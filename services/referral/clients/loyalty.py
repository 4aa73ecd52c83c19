"""Loyalty, asked about members whose enrolment we have not heard of."""

import httpx

from shared.http.client import InternalClient
from shared.http.tokens import TokenSigner
from shared.kernel.errors import Refusal, RefusalKind

_DEADLINE_S = 2.0


class LoyaltyAway(Refusal):
    """Loyalty cannot be asked at the moment."""

    code = "temporarily_unavailable"
    kind = RefusalKind.unavailable


class LoyaltyMembers:
    """Loyalty's members. Asked rarely, so a connection lives no longer than its question."""

    def __init__(self, *, base_url: str, signer: TokenSigner) -> None:
        self._base_url = base_url
        self._signer = signer

    async def is_active(self, *, member_id: str) -> bool:
        """Whether there is such a member, neither merged nor erased. Raises LoyaltyAway."""
        client = InternalClient(base_url=self._base_url, audience="loyalty", signer=self._signer)
        try:
            answer = await client.get(
                f"/internal/members/{member_id}",
                operation="internal_show_member",
                deadline_s=_DEADLINE_S,
            )
        except httpx.TransportError:
            raise LoyaltyAway from None
        finally:
            await client.close()
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        if answer.status_code != httpx.codes.OK:
            raise LoyaltyAway
        return bool(answer.json()["state"] == "active")
