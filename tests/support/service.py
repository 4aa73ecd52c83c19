"""One service in the test's own process, called through its HTTP door with real tokens."""

import importlib
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from sqlalchemy import MetaData, text

from gateway.policy import OPERATIONS
from shared.db import Database
from shared.events.subscriber import Subscriber
from shared.http.client import InternalClient
from shared.http.tokens import Principal, TokenSigner
from shared.kernel.clock import FixedClock
from shared.settings import ServiceSettings, encode_key
from shared.sql import execute
from tests.servers import Servers
from tests.support.databases import Databases, package_of

#: When tests happen unless they say otherwise: a Monday noon in Shanghai.
NOON: Final = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
SERVICES: Final = ("gateway", "loyalty", "referral", "segmentation")
MANAGER: Final = Principal(kind="api_key", id="managerk")

_OPERATIONS = {operation.id: operation for operation in OPERATIONS}
_KEYS = {name: Ed25519PrivateKey.generate().private_bytes_raw() for name in SERVICES}


def trusted_keys() -> str:
    """Every service's public key, as INTERNAL_TRUSTED_KEYS has them."""
    public = {
        name: Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
        for name, key in _KEYS.items()
    }
    return ",".join(f"{name}={encode_key(key)}" for name, key in public.items())


def key_of(service: str) -> bytes:
    """A service's own private key."""
    return _KEYS[service]


def signer_of(service: str) -> TokenSigner:
    """What signs for a service."""
    return TokenSigner(issuer=service, private_key=_KEYS[service])


@dataclass
class ServiceUnderTest:
    """A running service. `call` plays the gateway."""

    name: str
    app: FastAPI
    clock: FixedClock
    http: httpx.AsyncClient
    signer: TokenSigner

    @property
    def database(self) -> Database:
        """The service's own database."""
        database: Database = self.app.state.database
        return database

    async def call(
        self,
        operation_id: str,
        *,
        json: object = None,
        content: bytes | str | None = None,
        params: Mapping[str, Any] | None = None,
        key: str | None = "new",
        headers: Mapping[str, str] | None = None,
        principal: Principal = MANAGER,
        **path: object,
    ) -> httpx.Response:
        """Call an operation of the policy table; `key="new"` makes an Idempotency-Key if needed."""
        operation = _OPERATIONS[operation_id]
        token = self.signer.token(audience=self.name, operation=operation_id, principal=principal)
        sent = {"Authorization": f"Bearer {token}", **(headers or {})}
        if key is not None and operation.method != "GET":
            sent["Idempotency-Key"] = uuid.uuid4().hex if key == "new" else key
        return await self.http.request(
            operation.method,
            operation.path.format_map({name: str(value) for name, value in path.items()}),
            json=json,
            content=content,
            params=params,
            headers=sent,
        )

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """What a statement finds in the service's database."""
        async with self.database.reading() as session:
            return list((await execute(session, text(statement), parameters)).all())

    async def scalar(self, statement: str, **parameters: Any) -> Any:
        """The single value a statement finds."""
        async with self.database.reading() as session:
            return (await execute(session, text(statement), parameters)).scalar_one()

    async def change(self, statement: str, **parameters: Any) -> None:
        """Change the service's database behind its back."""
        async with self.database.begin(actor="test") as transaction:
            await execute(transaction.session, text(statement), parameters)

    async def hear(self, producer: "ServiceUnderTest") -> int:
        """Pull and apply all that a producer has published; says how many events came."""
        own: Subscriber = self.app.state.subscribers[producer.name]
        client = InternalClient(
            base_url=f"http://{producer.name}",
            audience=producer.name,
            signer=signer_of(self.name),
            transport=httpx.ASGITransport(producer.app),
        )
        subscriber = own.through(client)
        count = 0
        while came := await subscriber.pull():
            count += came
        await client.close()
        return count


@dataclass
class Starter:
    """Starts services for one test and stops them at its end."""

    stack: AsyncExitStack
    servers: Servers
    databases: Databases

    async def __call__(
        self,
        service: str,
        *,
        clock: FixedClock | None = None,
        database_url: str | None = None,
        **environment: Any,
    ) -> ServiceUnderTest:
        """Start a service on a fresh database, without its background work."""
        started = running(
            service,
            clock=clock or FixedClock(NOON),
            database_url=database_url or self.databases.fresh(service),
            redis_url=self.servers.redis_url(),
            **environment,
        )
        return await self.stack.enter_async_context(started)


def settings_of(service: str, **values: Any) -> ServiceSettings:
    """Settings as the runner would give them, from values instead of the environment."""
    module = importlib.import_module(f"{package_of(service)}.settings")
    wanted: type[ServiceSettings] = getattr(module, f"{service.capitalize()}Settings")
    given: dict[str, Any] = {
        "internal_key": encode_key(_KEYS[service]),
        "internal_trusted_keys": trusted_keys(),
        "log_level": "ERROR",
        "background": False,
        "loyalty_url": "http://127.0.0.1:9",
        "referral_url": "http://127.0.0.1:9",
        "segmentation_url": "http://127.0.0.1:9",
        "identity_hash_key": encode_key(b"h" * 32),
        "identity_encryption_key": encode_key(b"e" * 32),
        **values,
    }
    return wanted(**{name: value for name, value in given.items() if name in wanted.model_fields})


def metadata_of(service: str) -> MetaData:
    """All tables of a service."""
    tables = importlib.import_module(f"{package_of(service)}.store.tables")
    metadata: MetaData = tables.metadata
    return metadata


@asynccontextmanager
async def running(
    service: str, *, clock: FixedClock, **values: Any
) -> AsyncIterator[ServiceUnderTest]:
    """A service with its lifespan entered."""
    main = importlib.import_module(f"{package_of(service)}.main")
    app: FastAPI = main.build(settings_of(service, **values), clock=clock)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{service}") as http:
            yield ServiceUnderTest(
                name=service, app=app, clock=clock, http=http, signer=signer_of("gateway")
            )
