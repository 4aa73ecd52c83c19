"""The real gateway on a real database, served by uvicorn, in front of recording services."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from gateway.domain.api_keys import new_key
from gateway.operations.api_keys import MadeKey, create_manager_key
from gateway.store.api_keys import insert_key
from shared.db import Database, Transaction
from shared.http.tokens import TokenVerifier
from shared.kernel.clock import FixedClock
from shared.settings import decode_key
from tests.integration.gateway.upstream import Upstream, upstream
from tests.servers import Servers
from tests.support.databases import Databases
from tests.support.service import NOON, running, trusted_keys
from tests.support.serving import serving

SERVICES = ("loyalty", "referral", "segmentation")


@dataclass
class GatewayUnderTest:
    """A running gateway, what stands behind it, and a manager's key."""

    url: str
    app: FastAPI
    clock: FixedClock
    http: httpx.AsyncClient
    services: dict[str, Upstream]
    manager: MadeKey
    environment: dict[str, Any] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        """The gateway's database."""
        database: Database = self.app.state.database
        return database

    async def call(
        self, method: str, path: str, *, key: str | None = "manager", **more: Any
    ) -> httpx.Response:
        """Call the gateway from outside, as the manager unless a key is given; None sends none."""
        headers = dict(more.pop("headers", {}))
        if key is not None:
            text = self.manager.secret.text if key == "manager" else key
            headers["Authorization"] = f"Bearer {text}"
        return await self.http.request(method, path, headers=headers, **more)

    async def key(self, *scopes: str, **more: Any) -> str:
        """A key with some scopes, made past the API."""
        return (await self.made_key(*scopes, **more))[1]

    async def made_key(self, *scopes: str, expires_at: Any = None) -> tuple[str, str]:
        """The id and the text of a key with some scopes."""
        secret = new_key(mode="live")

        async def make(transaction: Transaction) -> None:
            await insert_key(
                transaction.session,
                key=secret,
                name="some storefront",
                scopes=list(scopes),
                created_by="test",
                created_at=transaction.now,
                expires_at=expires_at,
            )

        await self.database.run(make, actor="test")
        return secret.id, secret.text

    def received(self) -> Sequence[Any]:
        """All that reached any service."""
        return [one for service in self.services.values() for one in service.received]


class GatewayStarter:
    """Starts gateways for one test."""

    def __init__(self, *, stack: AsyncExitStack, servers: Servers, databases: Databases) -> None:
        self._stack = stack
        self._servers = servers
        self._databases = databases

    async def __call__(self, **settings: Any) -> GatewayUnderTest:
        """Start a gateway on a fresh database with its three recording services."""
        keys = {
            issuer: decode_key(key)
            for issuer, _, key in (pair.partition("=") for pair in trusted_keys().split(","))
        }
        services = {}
        for name in SERVICES:
            verifier = TokenVerifier(audience=name, trusted=keys)
            services[name] = await self._stack.enter_async_context(
                upstream(name, verifier=verifier)
            )
        values = {
            "database_url": self._databases.fresh("gateway"),
            "redis_url": self._servers.redis_url(),
            **{f"{name}_url": service.url for name, service in services.items()},
            # The longest there is: on a busy machine, too, only a test about it runs into it.
            "deadline_s": 60,
            **settings,
        }
        return await self.on(values, services=services)

    async def on(
        self, values: dict[str, Any], *, services: dict[str, Upstream]
    ) -> GatewayUnderTest:
        """Start a gateway with these settings; with those of a running one, its twin."""
        clock = FixedClock(NOON)
        started = await self._stack.enter_async_context(running("gateway", clock=clock, **values))
        url = await self._stack.enter_async_context(serving(started.app))
        http = await self._stack.enter_async_context(
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=30)
        )

        async def make(transaction: Transaction) -> MadeKey:
            return await create_manager_key(transaction, mode="live", name="first-key")

        return GatewayUnderTest(
            url=url,
            app=started.app,
            clock=clock,
            http=http,
            services=services,
            manager=await started.database.run(make, actor="test"),
            environment=values,
        )
