"""A service with hardly any business, on which the doors and the log of every service are tried."""

import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

import httpx
from fastapi import APIRouter, FastAPI, Path, Response
from pydantic_settings import SettingsConfigDict
from sqlalchemy import text

from shared.contracts.envelope import EventData
from shared.db import Database, Occasion, Transaction
from shared.events.applying import Handler
from shared.http.fields import ExternalId, ReplyModel, RequestModel
from shared.http.tokens import Principal
from shared.http.writes import KeyedWrite, Reply
from shared.jobs import Job
from shared.kernel.clock import FixedClock
from shared.service.app import ServiceParts, Subscription, create_app
from shared.settings import ServiceSettings, async_url, encode_key
from shared.sql import execute
from shared.tables import technical
from tests.integration.shared.small_hot import REFUSE_STALE, Bumps, hot_counter_router
from tests.support.databases import Databases
from tests.support.service import MANAGER, NOON, key_of, signer_of, trusted_keys

SERVICE: Final = "referral"
PRODUCER: Final = "loyalty"

PATHS: Final = {"bump": "bumps", "bump_hot": "hot_bumps"}
Name = Annotated[ExternalId, Path()]


class SmallSettings(ServiceSettings):
    """Read under SMALL_."""

    model_config = SettingsConfigDict(env_prefix="SMALL_")


class Bumped(EventData):
    """A counter went up."""

    type: ClassVar[str] = "counter.bumped.v1"

    name: str
    amount: int


class Bump(RequestModel):
    """By how much."""

    amount: int
    note: dict[str, Any] = {}


class Total(ReplyModel):
    """Where the counter stands after the bump: no two bumps get the same answer."""

    name: str
    total: int


@dataclass
class Knobs:
    """What a test turns: called with each bump after its effects were written."""

    before_commit: Callable[[Occasion], Any] = lambda _: None


def counter_router(knobs: Knobs) -> APIRouter:
    """One write that must carry a key, at two addresses."""
    router = APIRouter()

    async def bump(transaction: Transaction, name: str, amount: int) -> Total:
        counted = await execute(
            transaction.session,
            text(
                "insert into counters (name, total) values (:name, :amount) on conflict (name)"
                " do update set total = counters.total + excluded.total,"
                " version = counters.version + 1 returning total"
            ),
            {"name": name, "amount": amount},
        )
        transaction.record(Bumped(name=name, amount=amount), subject=name)
        knobs.before_commit(transaction)
        return Total(name=name, total=counted.scalar_one())

    @router.post("/v1/counters/{name}/bumps", operation_id="bump", status_code=201)
    async def bump_counter(name: Name, body: Bump, write: KeyedWrite) -> Response:
        return await write.run(
            lambda transaction: bump(transaction, name, body.amount),
            reply=lambda total: Reply(body=total, status=201),
        )

    @router.post("/v1/counters/{name}/other_bumps", operation_id="bump_otherwise")
    async def bump_otherwise(name: Name, body: Bump, write: KeyedWrite) -> Response:
        return await write.run(
            lambda transaction: bump(transaction, name, body.amount),
            reply=lambda total: Reply(body=total),
        )

    return router


@dataclass
class Small:
    """The service, running. `call` plays the gateway."""

    app: FastAPI
    http: httpx.AsyncClient
    clock: FixedClock
    knobs: Knobs
    service: str
    #: The operation through which `bump` goes.
    bumping: str = "bump"

    @property
    def database(self) -> Database:
        """Its own database."""
        database: Database = self.app.state.database
        return database

    async def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        principal: Principal | None = MANAGER,
        headers: Mapping[str, str | bytes] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Call a route with a token for that operation."""
        bearer = f"Bearer {self.token(operation, principal=principal)}"
        sent: Any = {"Authorization": bearer, **(headers or {})}
        return await self.http.request(method, path, headers=sent, **more)

    def token(self, operation: str, *, principal: Principal | None = MANAGER) -> str:
        """What the gateway would send along."""
        return signer_of("gateway").token(
            audience=self.service, operation=operation, principal=principal
        )

    async def bump(
        self, name: str = "visits", *, key: str | None = None, amount: int = 1, **more: Any
    ) -> httpx.Response:
        """Bump a counter, under a new key unless one is given."""
        more.setdefault("json", {"amount": amount})
        headers = {"Idempotency-Key": key or uuid.uuid4().hex, **more.pop("headers", {})}
        path = f"/v1/counters/{name}/{PATHS[self.bumping]}"
        return await self.call(self.bumping, "POST", path, headers=headers, **more)

    async def rows(self, statement: str, **parameters: Any) -> Sequence[Any]:
        """What a statement finds."""
        async with self.database.reading() as session:
            return (await execute(session, text(statement), parameters)).all()

    async def scalar(self, statement: str, **parameters: Any) -> Any:
        """The single value a statement finds."""
        return (await self.rows(statement, **parameters))[0][0]

    async def change(self, statement: str, **parameters: Any) -> None:
        """Do something to the database behind the service's back."""
        async with self.database.reading() as session:
            await execute(session, text(statement), parameters)


@dataclass
class SmallStarter:
    """Starts small services; each gets an empty database of its own unless it is given one."""

    databases: Databases
    redis_url: str
    stack: Any

    async def __call__(self, **how: Any) -> Small:
        """Start one and stop it at the end of the test."""
        url = how.pop("database_url", None) or await self.database()
        how.setdefault("redis_url", self.redis_url)
        started: Small = await self.stack.enter_async_context(
            running_small(database_url=url, **how)
        )
        return started

    async def database(self) -> str:
        """A database with the technical tables and the counters."""
        url = self.databases.empty("small")
        await prepare(url)
        return url


async def prepare(url: str) -> None:
    """Make the tables in an empty database."""
    database = Database(async_url(url), service="test", clock=FixedClock(NOON))
    async with database.engine.begin() as connection:
        await connection.run_sync(technical.create_all)
        for statement in (
            "insert into feed_head default values",
            "create table counters (name text primary key, total bigint, version int8 default 1)",
            REFUSE_STALE,
            "create table heard (id bigserial primary key, name text, amount bigint)",
        ):
            await connection.execute(text(statement))
    await database.close()


def _settings(database_url: str, redis_url: str, service: str, **more: Any) -> SmallSettings:
    given: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": redis_url,
        "internal_key": encode_key(key_of(service)),
        "internal_trusted_keys": trusted_keys(),
        "log_level": "ERROR",
        "background": False,
        **more,
    }
    return SmallSettings(**given)


@asynccontextmanager
async def running_small(
    *,
    database_url: str,
    redis_url: str,
    service: str = SERVICE,
    routers: Sequence[APIRouter] = (),
    handlers: Mapping[str, Handler] | None = None,
    producer_url: str = "http://127.0.0.1:9",
    jobs: Sequence[Job] = (),
    **settings: Any,
) -> AsyncIterator[Small]:
    """A small service with its lifespan entered."""
    knobs, clock = Knobs(), FixedClock(NOON)
    listens = [Subscription(producer=PRODUCER, base_url=producer_url, handlers=handlers or {})]
    app = create_app(
        ServiceParts(
            service=service,
            title="small",
            settings=_settings(database_url, redis_url, service, **settings),
            clock=clock,
            routers=[counter_router(knobs), hot_counter_router(Bump, Total), *routers],
            batches={
                "bumps": Bumps(
                    bumped=lambda name, amount: Bumped(name=name, amount=amount),
                    before_commit=lambda occasion: knobs.before_commit(occasion),
                )
            },
            subscriptions=listens if handlers is not None else [],
            jobs=jobs,
        )
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{service}") as http:
            yield Small(app=app, http=http, clock=clock, knobs=knobs, service=service)
