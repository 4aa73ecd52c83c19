"""The application every service is: doors, background work, health, metrics, problems."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.batches import BatchOperation
from shared.db import Database
from shared.events.feed import feed_router
from shared.events.operator_api import operator_router
from shared.http.access import require_call
from shared.http.hot import open_door
from shared.http.hot_routes import HotPaths, hot_routes
from shared.http.inputs import refuse_unknown_input
from shared.http.middleware import InternalAccess, RequestScope
from shared.http.problems import install_problem_handlers
from shared.http.tokens import TokenVerifier
from shared.jobs import Job
from shared.kernel.clock import Clock
from shared.kernel.errors import CannotStart
from shared.reads import BatchedRead, ReadMany
from shared.service.machinery import Machinery, Subscription, assemble
from shared.service.timekeeper_api import timekeeper_router
from shared.settings import ServiceSettings
from shared.telemetry import configure_logging, configure_tracing

__all__ = ["ServiceParts", "Subscription", "create_app"]


@dataclass(frozen=True, kw_only=True)
class ServiceParts:
    """What a composition root puts together."""

    service: str
    title: str
    settings: ServiceSettings
    clock: Clock
    routers: Sequence[APIRouter]
    subscriptions: Sequence[Subscription] = ()
    jobs: Sequence[Job] = ()
    #: Hot operations, by the name under which their routes find the door in `app.state`.
    batches: Mapping[str, BatchOperation[Any, Any, Any]] = field(default_factory=dict)
    #: Reads that are asked for together, likewise.
    reads: Mapping[str, ReadMany[Any]] = field(default_factory=dict)
    #: Anything else the routes find in `app.state`, by name.
    state: Mapping[str, Any] = field(default_factory=dict)


class ServiceApp(FastAPI):
    """A FastAPI application whose hot routes are served before the framework begins."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hot: tuple[HotPaths, ASGIApp] | None = getattr(self.state, "hot", None)
        if hot is not None and hot[0].take(scope):
            scope["app"] = self
            await hot[1](scope, receive, send)
            return
        if scope["type"] == "lifespan":
            send = self._plainly(send)
        await super().__call__(scope, receive, send)

    def _plainly(self, send: Send) -> Send:
        """To the server that starts us, a setting that cannot be is its reason, not a traceback."""

        async def said(message: Message) -> None:
            refused: CannotStart | None = getattr(self.state, "cannot_start", None)
            if message["type"] == "lifespan.startup.failed" and refused is not None:
                message = {**message, "message": str(refused)}
            await send(message)

        return said


def create_app(parts: ServiceParts) -> FastAPI:
    """Build one service's application: every route but health needs an internal token."""
    settings = parts.settings
    configure_logging(service=parts.service, level=settings.log_level)
    configure_tracing(service=parts.service, endpoint=settings.otlp_endpoint)
    machinery = assemble(
        service=parts.service,
        settings=settings,
        clock=parts.clock,
        subscriptions=parts.subscriptions,
        jobs=parts.jobs,
    )
    verifier = TokenVerifier(audience=parts.service, trusted=settings.internal_trusted_keys)

    app = ServiceApp(
        title=parts.title,
        version="1",
        openapi_url="/internal/openapi.json",
        docs_url=None,
        redoc_url=None,
        # RequestScope makes the spans; FastAPI's own would double them.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=_lifespan(machinery, parts, background=settings.background),
        middleware=[
            Middleware(RequestScope, service=parts.service, clock=machinery.clock),
            Middleware(InternalAccess, verifier=verifier),
        ],
    )
    _fill_state(app, parts, machinery)
    paths = HotPaths(routes=hot_routes(parts.routers))
    inner = InternalAccess(paths, verifier=verifier)
    app.state.hot = paths, RequestScope(inner, service=parts.service, clock=machinery.clock)
    install_problem_handlers(app)
    _include_routes(app, parts, machinery)
    return app


def _fill_state(app: FastAPI, parts: ServiceParts, machinery: Machinery) -> None:
    app.state.database = machinery.database
    app.state.clock = machinery.clock
    app.state.signer = machinery.signer
    app.state.subscribers = machinery.subscribers
    app.state.timekeeper = machinery.timekeeper
    for name, operation in parts.batches.items():
        setattr(app.state, name, open_door(database=machinery.database, operation=operation))
    for name, read in parts.reads.items():
        setattr(app.state, name, BatchedRead(database=machinery.database, read=read))
    for name, value in parts.state.items():
        setattr(app.state, name, value)


def _include_routes(app: FastAPI, parts: ServiceParts, machinery: Machinery) -> None:
    handlers = {one.producer: one.handlers for one in parts.subscriptions}
    database = machinery.database
    guarded = [Depends(require_call), Depends(refuse_unknown_input)]
    for router in (
        *parts.routers,
        feed_router(service=parts.service, database=database, moved=machinery.relay.moved),
        operator_router(service=parts.service, database=database, handlers=handlers),
        _metrics_router(parts.service),
    ):
        app.include_router(router, dependencies=guarded)
    if machinery.timekeeper is not None:
        router = timekeeper_router(machinery.timekeeper)
        app.include_router(router, dependencies=guarded)
    app.include_router(_health_router(database))


def _lifespan(machinery: Machinery, parts: ServiceParts, *, background: bool) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(machinery.running(background=background))
            except CannotStart as refused:
                app.state.cannot_start = refused
                raise
            yield
            # Before the connections go: what a batch has begun, it brings to its end.
            for name in (*parts.batches, *parts.reads):
                await getattr(app.state, name).collector.close()

    return lifespan


def _health_router(database: Database) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz", operation_id="healthz")
    async def healthz() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    @router.get("/readyz", operation_id="readyz")
    async def readyz(response: Response) -> dict[str, str]:
        """The process can serve: its database answers. Redis is not needed to serve."""
        if await database.is_ready():
            return {"status": "ready"}
        response.status_code = 503
        return {"status": "database_unavailable"}

    return router


def _metrics_router(service: str) -> APIRouter:
    router = APIRouter(prefix=f"/v1/services/{service}", tags=["operations"])

    @router.get(
        "/metrics",
        operation_id=f"show_{service}_metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
    )
    async def show_metrics() -> Response:
        """Figures of this process in Prometheus's text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router
