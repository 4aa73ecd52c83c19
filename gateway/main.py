"""The gateway's composition root."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import structlog
from fastapi import Depends, FastAPI
from starlette.middleware import Middleware

from gateway.api import api_keys, caller, console, documents, health
from gateway.api.documents import Documents
from gateway.api.front import OWN, Front
from gateway.api.health import Readiness
from gateway.api.proxy import Proxy
from gateway.clients.upstreams import Upstreams
from gateway.operations.authentication import KeyRing
from gateway.settings import GatewaySettings
from shared.db import Database
from shared.http.access import require_call
from shared.http.middleware import RequestScope
from shared.http.problems import install_problem_handlers
from shared.http.tokens import TokenSigner
from shared.kernel.clock import Clock, SystemClock
from shared.telemetry import configure_logging, configure_tracing

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class _Parts:
    database: Database
    upstreams: Upstreams
    keys: KeyRing


def build(settings: GatewaySettings, *, clock: Clock) -> FastAPI:
    """Put the gateway together: the front before everything, our own few routes behind it."""
    configure_logging(service=OWN, level=settings.log_level)
    configure_tracing(service=OWN, endpoint=settings.otlp_endpoint)
    parts = _parts(settings, clock)
    app = FastAPI(
        title="Huitou gateway",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Spans and figures are RequestScope's; FastAPI's own would double them, and cost time.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=_lifespan(parts),
        middleware=[
            Middleware(RequestScope, service=OWN, clock=clock),
            Middleware(
                Front,
                keys=parts.keys,
                proxy=Proxy(parts.upstreams),
                concurrency=settings.concurrency,
            ),
        ],
    )
    app.state.database = parts.database
    app.state.keys = parts.keys
    app.state.mode = settings.mode
    app.state.readiness = Readiness(database=parts.database, upstreams=parts.upstreams)
    app.state.documents = Documents(app=app, upstreams=parts.upstreams)
    install_problem_handlers(app)
    _include_routes(app)
    return app


def _parts(settings: GatewaySettings, clock: Clock) -> _Parts:
    database = Database(
        settings.database_url.get_secret_value(),
        service=OWN,
        clock=clock,
        pool_size=settings.pool_size,
    )
    signer = TokenSigner(issuer=OWN, private_key=settings.internal_key.get_secret_value())
    upstreams = Upstreams(urls=settings.service_urls, signer=signer, deadline_s=settings.deadline_s)
    return _Parts(
        database=database,
        upstreams=upstreams,
        keys=KeyRing(database=database, mode=settings.mode),
    )


def _include_routes(app: FastAPI) -> None:
    guarded = [Depends(require_call)]
    app.include_router(api_keys.router, dependencies=guarded)
    app.include_router(caller.router, dependencies=guarded)
    app.include_router(console.router)
    app.include_router(documents.router)
    app.include_router(health.open_router)
    app.include_router(health.router, dependencies=guarded)


def _lifespan(parts: _Parts) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await parts.database.refuse_unless_durable()
        # What start-up made lives as long as the process; the collector need not walk it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)
        _log.info("started")
        try:
            yield
        finally:
            await parts.keys.close()
            await parts.upstreams.close()
            await parts.database.close()
            _log.info("stopped")

    return lifespan


def __getattr__(name: str) -> FastAPI:
    """`app`, made when a server asks for it: importing this module needs no environment."""
    if name == "app":
        return build(GatewaySettings(), clock=SystemClock())
    raise AttributeError(name)
