"""Health, readiness and figures of the gateway. They tell the truth about what stands behind it."""

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from gateway.clients.upstreams import Upstreams
from shared.db import Database

router = APIRouter(tags=["operations"])
open_router = APIRouter(include_in_schema=False)

_REMEMBERED_S: Final = 1.0


class ReadinessReply(BaseModel):
    """Whether everything that serving needs is there, and what is not."""

    status: str
    parts: dict[str, str]


class Readiness:
    """The gateway's database and every service, asked at most once a second."""

    def __init__(self, *, database: Database, upstreams: Upstreams) -> None:
        self._database = database
        self._upstreams = upstreams
        self._known: ReadinessReply | None = None
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def find(self) -> ReadinessReply:
        """What is ready and what is not."""
        async with self._asking:
            now = asyncio.get_running_loop().time
            if self._known is None or self._until <= now():
                self._known = await self._ask()
                self._until = now() + _REMEMBERED_S
            return self._known

    async def _ask(self) -> ReadinessReply:
        services = self._upstreams.services
        own, *theirs = await asyncio.gather(
            self._database.is_ready(), *(self._upstreams.is_ready(service) for service in services)
        )
        parts = dict(zip(("gateway", *services), (own, *theirs), strict=True))
        return ReadinessReply(
            status="ready" if all(parts.values()) else "not_ready",
            parts={name: "ready" if ready else "not_ready" for name, ready in parts.items()},
        )


@open_router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process runs."""
    return {"status": "ok"}


@open_router.get("/readyz")
async def readyz(request: Request, response: Response) -> ReadinessReply:
    """The gateway's database and all services can serve."""
    readiness: Readiness = request.app.state.readiness
    found = await readiness.find()
    if found.status != "ready":
        response.status_code = 503
        response.headers["Retry-After"] = "1"
    return found


@router.get(
    "/v1/services/gateway/metrics",
    operation_id="show_gateway_metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def show_metrics() -> Response:
    """Figures of this process in Prometheus's text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
