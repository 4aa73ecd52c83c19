"""The application every service is: doors, background work, health, metrics, problems."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from fastapi import APIRouter, Depends, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.asyncio import Redis
from sqlalchemy import text as sql
from starlette.middleware import Middleware

from shared.db import Database
from shared.events import doorbell
from shared.events.applying import Handlers
from shared.events.feed import feed_router
from shared.events.operator_api import operator_router
from shared.events.relay import Relay
from shared.events.subscriber import Subscriber
from shared.http.access import require_call
from shared.http.client import InternalClient
from shared.http.middleware import InternalAccess, RequestScope
from shared.http.problems import install_problem_handlers
from shared.http.tokens import TokenSigner, TokenVerifier
from shared.jobs import Job, run_job
from shared.kernel.clock import Clock
from shared.settings import ServiceSettings
from shared.sql import execute
from shared.telemetry import configure_logging, configure_tracing

_log = structlog.get_logger()

_READY_TIMEOUT_S: Final = 2.0
_STOP_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """One producer this service listens to: where it lives, and what to do on its events."""

    producer: str
    base_url: str
    handlers: Handlers


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
    #: Anything else the routes find in `app.state`, by name.
    state: Mapping[str, Any] = field(default_factory=dict)
    #: Called once the database answers, before the service is ready.
    on_start: Callable[[Database], Any] | None = None


def create_app(parts: ServiceParts) -> FastAPI:
    """Build one service's application: every route but health needs an internal token."""
    settings = parts.settings
    configure_logging(service=parts.service, level=settings.log_level)
    configure_tracing(service=parts.service, endpoint=settings.otlp_endpoint)
    database = Database(
        settings.database_url.get_secret_value(),
        service=parts.service,
        clock=parts.clock,
        pool_size=settings.pool_size,
    )
    redis = connect_redis(settings.redis_url)
    relay = Relay(service=parts.service, database=database, redis=redis, clock=parts.clock)
    database.on_events = relay.wake
    signer = TokenSigner(issuer=parts.service, private_key=settings.internal_key.get_secret_value())
    verifier = TokenVerifier(audience=parts.service, trusted=settings.internal_trusted_keys)
    subscribers = [
        _subscriber(one, parts=parts, database=database, signer=signer)
        for one in parts.subscriptions
    ]
    app = FastAPI(
        title=parts.title,
        version="1",
        openapi_url="/internal/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(parts, database, redis, relay, subscribers),
        dependencies=[],
        middleware=[
            Middleware(RequestScope, service=parts.service, clock=parts.clock),
            Middleware(InternalAccess, verifier=verifier),
        ],
    )
    app.state.database = database
    app.state.clock = parts.clock
    app.state.signer = signer
    app.state.subscribers = {one.producer: one for one in subscribers}
    for name, value in parts.state.items():
        setattr(app.state, name, value)
    install_problem_handlers(app)
    guarded = [Depends(require_call)]
    handlers = {one.producer: one.handlers for one in parts.subscriptions}
    for router in (
        *parts.routers,
        feed_router(service=parts.service, database=database, moved=relay.moved),
        operator_router(service=parts.service, database=database, handlers=handlers),
        _metrics_router(parts.service),
    ):
        app.include_router(router, dependencies=guarded)
    app.include_router(_health_router(database))
    return app


def connect_redis(url: str) -> Redis:
    """A Redis client that gives up soon: everything that uses it can do without."""
    redis: Redis = Redis.from_url(
        url,
        socket_connect_timeout=2,
        socket_timeout=5,
        socket_keepalive=True,
        health_check_interval=15,
    )
    return redis


def _subscriber(
    one: Subscription, *, parts: ServiceParts, database: Database, signer: TokenSigner
) -> Subscriber:
    client = InternalClient(base_url=one.base_url, audience=one.producer, signer=signer)
    return Subscriber(
        service=parts.service,
        producer=one.producer,
        client=client,
        database=database,
        handlers=one.handlers,
    )


def _lifespan(
    parts: ServiceParts,
    database: Database,
    redis: Redis,
    relay: Relay,
    subscribers: Sequence[Subscriber],
) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await database.refuse_unless_durable()
        if parts.on_start is not None:
            await parts.on_start(database)
        tasks: list[asyncio.Task[None]] = []
        if parts.settings.background:
            tasks = _start_background(parts, database, redis, relay, subscribers)
        # What start-up made lives as long as the process; the collector need not walk it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)
        _log.info("started")
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=_STOP_S)
            for subscriber in subscribers:
                await subscriber.close()
            await redis.aclose()
            await database.close()
            _log.info("stopped")

    return lifespan


def _start_background(
    parts: ServiceParts,
    database: Database,
    redis: Redis,
    relay: Relay,
    subscribers: Sequence[Subscriber],
) -> list[asyncio.Task[None]]:
    work = [relay.run()]
    work += [subscriber.run() for subscriber in subscribers]
    if subscribers:
        by_producer = {one.producer: one for one in subscribers}
        work.append(doorbell.listen(redis, subscribers=by_producer))
    work += [run_job(job, database=database, service=parts.service) for job in parts.jobs]
    return [asyncio.create_task(one) for one in work]


def _health_router(database: Database) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz", operation_id="healthz")
    async def healthz() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    @router.get("/readyz", operation_id="readyz")
    async def readyz(response: Response) -> dict[str, str]:
        """The process can serve: its database answers. Redis is not needed to serve."""
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S), database.reading() as session:
                await execute(session, sql("select 1 from feed_head"))
        except Exception as error:
            response.status_code = 503
            _log.warning("not ready", error=type(error).__name__)
            return {"status": "database_unavailable"}
        return {"status": "ready"}

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
