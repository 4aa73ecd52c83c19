"""The services behind the gateway, over the shared transport."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import orjson
import structlog

from shared.http.tokens import Principal, TokenSigner
from shared.http.transport import Exchange, Origin, Transport
from shared.kernel.errors import Refusal, RefusalKind

_log = structlog.get_logger()

Headers = Sequence[tuple[bytes, bytes]]

#: How long a service may digest an upload after its last byte, in seconds.
UPLOAD_DIGEST_S: Final = 30.0
_DOCUMENT_S: Final = 5.0
_READY_S: Final = 2.0


class ServiceAway(Refusal):
    """A service cannot be reached, or broke off; what was asked may or may not have been done."""

    code = "service_away"
    kind = RefusalKind.unavailable


class ServiceTooSlow(Refusal):
    """A service did not answer within the deadline; what was asked may yet be done."""

    code = "service_too_slow"
    kind = RefusalKind.too_slow


class Unforwardable(Refusal):
    """The request holds something that HTTP cannot carry on unchanged."""

    code = "malformed_request"
    kind = RefusalKind.malformed


class Upstreams:
    """All services, by name."""

    def __init__(self, *, urls: Mapping[str, str], signer: TokenSigner, deadline_s: float) -> None:
        self._urls = urls
        self._origins = {service: Origin.of(url=url) for service, url in urls.items()}
        self._signer = signer
        self._deadline_s = deadline_s
        self._transport = Transport()
        #: How often a service failed to answer. A service that failed may come back another.
        self.failures = 0

    @property
    def services(self) -> Sequence[str]:
        """The names of the services."""
        return tuple(self._urls)

    async def ask(
        self,
        *,
        service: str,
        operation: str,
        principal: Principal,
        method: str,
        target: bytes,
        headers: Headers,
        body: bytes,
        deadline_s: float | None = None,
    ) -> Exchange:
        """Ask for one operation, with a body in memory, and wait for the whole answer.

        The deadline is the gateway's unless another is given. Raises ServiceAway, ServiceTooSlow
        and Unforwardable.
        """
        try:
            return await self._transport.exchange(
                origin=self._origins[service],
                method=method,
                target=target,
                headers=[*headers, self._token(service, operation, principal)],
                body=body,
                deadline_s=deadline_s or self._deadline_s,
            )
        except httpx.TransportError as error:
            raise self._refused(service, error) from error

    @asynccontextmanager
    async def stream(
        self,
        *,
        service: str,
        operation: str,
        principal: Principal,
        method: str,
        target: bytes,
        headers: Headers,
        body: AsyncIterator[bytes] | None,
    ) -> AsyncIterator[httpx.Response]:
        """Pass bodies on as they come. Raises as `ask` does, and whatever the body raises.

        The deadline holds for connecting and for each piece; what an upload comes to may take a
        while longer.
        """
        url = httpx.URL(self._urls[service]).copy_with(raw_path=target)
        given = [*headers, self._token(service, operation, principal)]
        digest_s = self._deadline_s if body is None else UPLOAD_DIGEST_S
        timeout = httpx.Timeout(self._deadline_s, read=digest_s).as_dict()
        request = httpx.Request(
            method, url, headers=given, content=body, extensions={"timeout": timeout}
        )
        try:
            answer = await self._transport.handle_async_request(request)
        except httpx.TransportError as error:
            raise self._refused(service, error) from error
        try:
            yield answer
        except httpx.TransportError as error:
            raise self._refused(service, error) from error
        finally:
            await answer.aclose()

    async def is_ready(self, service: str) -> bool:
        """Whether a service says that it can serve."""
        try:
            answer = await self._get(service, b"/readyz", headers=[], deadline_s=_READY_S)
        except httpx.TransportError:
            return False
        return answer.status == 200

    async def document(self, service: str) -> dict[str, Any] | None:
        """A service's own OpenAPI document; None when it cannot be had."""
        headers = [self._token(service, "openapi", None)]
        try:
            answer = await self._get(
                service, b"/internal/openapi.json", headers=headers, deadline_s=_DOCUMENT_S
            )
            found = orjson.loads(answer.body)
        except (httpx.TransportError, orjson.JSONDecodeError):
            return None
        return found if answer.status == 200 and isinstance(found, dict) else None

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def _get(
        self, service: str, target: bytes, *, headers: Headers, deadline_s: float
    ) -> Exchange:
        return await self._transport.exchange(
            origin=self._origins[service],
            method="GET",
            target=target,
            headers=headers,
            deadline_s=deadline_s,
        )

    def _token(
        self, service: str, operation: str, principal: Principal | None
    ) -> tuple[bytes, bytes]:
        token = self._signer.token(audience=service, operation=operation, principal=principal)
        return b"authorization", b"Bearer " + token.encode()

    def _refused(self, service: str, error: httpx.TransportError) -> Refusal:
        if isinstance(error, httpx.LocalProtocolError):
            return Unforwardable()
        _log.warning("a service failed to answer", upstream=service, error=type(error).__name__)
        self.failures += 1
        # Connections that cannot be had in time mean that it is away, not that it thinks long.
        if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
            return ServiceTooSlow()
        return ServiceAway()
