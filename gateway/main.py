"""The gateway's composition root."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware

from gateway.api import api_keys, caller, console, documents, health, test_clock
from gateway.api.documents import Documents
from gateway.api.front import OWN, Front
from gateway.api.health import Readiness
from gateway.api.proxy import Proxy
from gateway.clients.test_clocks import RemoteClock
from gateway.clients.upstreams import Upstreams
from gateway.operations.authentication import KeyRing
from gateway.operations.test_clock_journey import Journey
from gateway.settings import GatewaySettings
from shared.http.access import require_call
from shared.http.inputs import refuse_unknown_input
from shared.http.middleware import RequestScope
from shared.http.problems import install_problem_handlers
from shared.kernel.clock import Clock, SystemClock
from shared.service.machinery import Machinery, assemble
from shared.service.timekeeper import FOLLOWED_WITHIN_S
from shared.telemetry import configure_logging, configure_tracing


@dataclass(frozen=True, kw_only=True)
class _Parts:
    machinery: Machinery
    upstreams: Upstreams
    keys: KeyRing
    #: Moves the clock of all services. Only in a sandbox.
    journey: Journey | None


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
        lifespan=_lifespan(parts, background=settings.background),
        middleware=[
            Middleware(RequestScope, service=OWN, clock=parts.machinery.clock),
            Middleware(
                Front,
                keys=parts.keys,
                proxy=Proxy(parts.upstreams),
                concurrency=settings.concurrency,
            ),
        ],
    )
    database = parts.machinery.database
    app.state.database = database
    app.state.keys = parts.keys
    app.state.journey = parts.journey
    app.state.mode = settings.mode
    app.state.readiness = Readiness(database=database, upstreams=parts.upstreams)
    app.state.documents = Documents(app=app, upstreams=parts.upstreams)
    install_problem_handlers(app)
    _include_routes(app)
    return app


def _parts(settings: GatewaySettings, clock: Clock) -> _Parts:
    machinery = assemble(service=OWN, settings=settings, clock=clock)
    upstreams = Upstreams(
        urls=settings.service_urls, signer=machinery.signer, deadline_s=settings.deadline_s
    )
    return _Parts(
        machinery=machinery,
        upstreams=upstreams,
        keys=KeyRing(database=machinery.database, mode=settings.mode),
        journey=_journey(machinery, upstreams),
    )


def _journey(machinery: Machinery, upstreams: Upstreams) -> Journey | None:
    """All services, and the gateway itself, whose own work falls due like theirs."""
    own = machinery.timekeeper
    if own is None:
        return None
    remote = [(name, RemoteClock(service=name, upstreams=upstreams)) for name in upstreams.services]
    return Journey(
        database=machinery.database,
        machine=own.clock.machine,
        travellers=[*remote, (OWN, own)],
        followed_within_s=FOLLOWED_WITHIN_S,
    )


def _include_routes(app: FastAPI) -> None:
    guarded = [Depends(require_call), Depends(refuse_unknown_input)]
    app.include_router(api_keys.router, dependencies=guarded)
    app.include_router(caller.router, dependencies=guarded)
    app.include_router(console.router)
    app.include_router(documents.router)
    app.include_router(health.open_router)
    app.include_router(health.router, dependencies=guarded)
    app.include_router(test_clock.router, dependencies=guarded)


def _lifespan(
    parts: _Parts, *, background: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with parts.machinery.running(background=background):
            journey = parts.journey.run() if parts.journey and background else None
            task = asyncio.create_task(journey) if journey else None
            try:
                yield
            finally:
                if task is not None:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                await parts.keys.close()
                await parts.upstreams.close()

    return lifespan


def __getattr__(name: str) -> FastAPI:
    """`app`, made when a server asks for it: importing this module needs no environment."""
    if name == "app":
        return build(GatewaySettings(), clock=SystemClock())
    raise AttributeError(name)
