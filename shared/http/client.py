"""Calls to neighbours: httpx over our own transport, with a token, a deadline and the trace."""

from collections.abc import Mapping
from typing import Final

import httpx

from shared.http.tokens import TokenSigner
from shared.http.transport import Transport
from shared.telemetry import current_request

DEADLINE_S: Final = 5.0


class InternalClient:
    """One neighbour's internal API."""

    def __init__(
        self,
        *,
        base_url: str,
        audience: str,
        signer: TokenSigner,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.audience = audience
        self._signer = signer
        self._http = httpx.AsyncClient(
            base_url=base_url,
            transport=transport or Transport(),
            timeout=DEADLINE_S,
            trust_env=False,
        )

    async def get(
        self,
        path: str,
        *,
        operation: str,
        params: Mapping[str, str | int | float] | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> httpx.Response:
        """Ask, and return whatever status comes. Raises httpx.TransportError when it is away."""
        token = self._signer.token(audience=self.audience, operation=operation)
        headers = {"Authorization": f"Bearer {token}"}
        context = current_request.get()
        if context is not None:
            headers["X-Request-Id"] = context.request_id
            if context.traceparent:
                headers["traceparent"] = context.traceparent
        return await self._http.get(path, params=params, headers=headers, timeout=deadline_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
