"""The services' clocks, over their internal routes. ADR 0010."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from gateway.clients.upstreams import Upstreams
from shared.http.tokens import Principal
from shared.kernel.visits import Visit
from shared.service.timekeeper import ClockNotStopped
from shared.service.timekeeper_api import StandsReply, VisitReply

#: Nobody outside waits for these calls. A visit takes about a second, and one long statement more.
_DEADLINE_S: Final = 30.0
_OURSELVES: Final = Principal(kind="service", id="gateway")
_MICROSECOND: Final = timedelta(microseconds=1)


class ClockRefused(Exception):
    """A service did not do as it was told; its status, and the code of its problem if it gave one.

    404 is a service that runs live.
    """


class RemoteClock:
    """One service's clock."""

    def __init__(self, *, service: str, upstreams: Upstreams) -> None:
        self._service = service
        self._upstreams = upstreams

    async def stop(self, *, at: datetime) -> datetime:
        """Let it stand still. Raises as `_post` does."""
        answer = await self._post("stop", "stop_clock", {"at": at})
        return StandsReply.model_validate_json(answer).at

    async def visit(self, *, at: datetime) -> Visit:
        """Take it through a moment. Raises ClockNotStopped, and as `_post` does."""
        answer = await self._post("visit", "visit_moment", {"at": at})
        return VisitReply.model_validate_json(answer).read()

    async def go(self, *, offset: timedelta) -> None:
        """Let it flow. Raises as `_post` does."""
        await self._post("go", "let_clock_go", {"offset_us": offset // _MICROSECOND})

    async def _post(self, path: str, operation: str, body: Mapping[str, Any]) -> bytes:
        """Raises ServiceAway, ServiceTooSlow and ClockRefused."""
        answer = await self._upstreams.ask(
            service=self._service,
            operation=operation,
            principal=_OURSELVES,
            method="POST",
            target=b"/internal/test_clock/" + path.encode(),
            headers=[(b"content-type", b"application/json")],
            body=orjson.dumps(body),
            deadline_s=_DEADLINE_S,
        )
        if answer.status == 200:
            return answer.body
        code = _code(answer.body)
        if code == ClockNotStopped.code:
            raise ClockNotStopped
        raise ClockRefused(answer.status, code)


def _code(body: bytes) -> str | None:
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return problem.get("code") if isinstance(problem, dict) else None
