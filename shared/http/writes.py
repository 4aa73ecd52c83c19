"""The door of every write: one transaction, its effects, events and idempotent reply together."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import orjson
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from shared.db import Database, Transaction, is_lock_timeout
from shared.http.access import CurrentPrincipal
from shared.http.middleware import operation_of
from shared.http.problems import refusal_problem, request_language
from shared.idempotency import (
    IdempotencyInFlight,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    Stored,
)
from shared.kernel.errors import Refusal, RefusalKind
from shared.sql import execute
from shared.tables import idempotency_keys

__all__ = [
    "IdempotencyInFlight",
    "IdempotencyKeyHeader",
    "IdempotencyKeyMissing",
    "IdempotencyKeyReused",
    "KeyedWrite",
    "OpenWrite",
    "Reply",
    "Write",
]

Result = TypeVar("Result")

KEY_LENGTH_MAX: Final = 255


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the caller gets when the transaction has been committed."""

    body: BaseModel | None
    status: int = 200

    def stored(self) -> Stored:
        """As it is kept under its key and sent."""
        body = self.body.model_dump_json().encode() if self.body is not None else b""
        return Stored(status=self.status, body=body)


class _AlreadyAnswered(Exception):
    """The key has its reply; nothing of the present attempt may remain."""

    def __init__(self, stored: Stored) -> None:
        super().__init__()
        self.stored = stored


class Write:
    """One write request: knows its database, its key and whose it is."""

    def __init__(
        self, *, request: Request, database: Database, actor: str, key: str | None, body: bytes
    ) -> None:
        self._request = request
        self._database = database
        self._actor = actor
        self._key = key
        self._scope = f"{actor} {operation_of(request.scope)}"
        self._path: str = request.scope["path"]
        self._fingerprint = b"" if key is None else fingerprint(path=self._path, body=body)

    @property
    def kept_under(self) -> tuple[str, str] | None:
        """Scope and key under which the reply is kept; None when it is not."""
        return None if self._key is None else (self._scope, self._key)

    async def run(
        self,
        operation: Callable[[Transaction], Awaitable[Result]],
        *,
        reply: Callable[[Result], Reply],
    ) -> Response:
        """Run the operation once for this key and answer; a repetition gets the first reply again.

        Raises what the operation refuses, IdempotencyKeyReused and IdempotencyInFlight.
        """

        async def attempt(transaction: Transaction) -> Stored:
            if self._key is not None:
                await self._claim(transaction)
            stored = reply(await operation(transaction)).stored()
            if self._key is not None:
                await self._keep(transaction, stored)
            return stored

        try:
            return stored_response(await self._database.run(attempt, actor=self._actor))
        except _AlreadyAnswered as again:
            return stored_response(again.stored, replayed=True)
        except Refusal as refusal:
            return await self._refused(refusal)

    async def _claim(self, transaction: Transaction) -> None:
        """Make the key ours until commit. A second claim waits here for the first to end."""
        claim = (
            insert(idempotency_keys)
            .values(
                scope=self._scope,
                key=self._key,
                fingerprint=self._fingerprint,
                created_at=transaction.now,
            )
            .on_conflict_do_nothing()
            .returning(idempotency_keys.c.key)
        )
        try:
            claimed = (await execute(transaction.session, claim)).one_or_none()
        except DBAPIError as error:
            if is_lock_timeout(error):
                raise IdempotencyInFlight from None
            raise
        if claimed is not None:
            return
        found = await execute(
            transaction.session,
            select(idempotency_keys).where(
                idempotency_keys.c.scope == self._scope, idempotency_keys.c.key == self._key
            ),
        )
        row = found.one()
        if row.fingerprint != self._fingerprint:
            raise IdempotencyKeyReused
        raise _AlreadyAnswered(Stored(status=row.status, media_type=row.media_type, body=row.body))

    async def _keep(self, transaction: Transaction, stored: Stored) -> None:
        await execute(
            transaction.session,
            update(idempotency_keys)
            .where(idempotency_keys.c.scope == self._scope, idempotency_keys.c.key == self._key)
            .values(status=stored.status, media_type=stored.media_type, body=stored.body),
        )

    async def _refused(self, refusal: Refusal) -> Response:
        """Answer a refusal. A business refusal is an outcome too, kept under its key.

        Its attempt changed nothing and is undone, so it is kept in a transaction of its own; if a
        twin got further in between, that one's reply stands.
        """
        if self._key is None or refusal.kind not in (RefusalKind.conflict, RefusalKind.not_found):
            raise refusal
        if isinstance(refusal, IdempotencyInFlight):
            raise refusal
        answer = refusal_problem(
            refusal, language=request_language(self._request), instance=self._path
        )
        stored = stored_problem(answer)

        async def keep(transaction: Transaction) -> None:
            await self._claim(transaction)
            await self._keep(transaction, stored)

        try:
            await self._database.run(keep, actor=self._actor)
        except _AlreadyAnswered as again:
            return stored_response(again.stored, replayed=True)
        return answer


def fingerprint(*, path: str, body: bytes) -> bytes:
    """What makes two requests the same: the path and the JSON body, however it is spelled."""
    try:
        canonical = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS) if body else b""
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # the latter: nested too deeply
        canonical = body
    return hashlib.sha256(path.encode() + b"\0" + canonical).digest()


IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=KEY_LENGTH_MAX,
        pattern=r"^[\x21-\x7e]+$",
        description="Repeat a request safely: the same key and body get the first reply again.",
    ),
]


async def write(
    request: Request, principal: CurrentPrincipal, idempotency_key: IdempotencyKeyHeader = None
) -> Write:
    """The dependency of a write that may be repeated with a key."""
    return Write(
        request=request,
        database=request.app.state.database,
        actor=principal.actor,
        key=idempotency_key,
        body=await request.body(),
    )


async def keyed_write(opened: Annotated[Write, Depends(write)], request: Request) -> Write:
    """The dependency of a write that must carry a key. Raises IdempotencyKeyMissing."""
    if "idempotency-key" not in request.headers:
        raise IdempotencyKeyMissing
    return opened


#: A write whose Idempotency-Key is optional.
OpenWrite = Annotated[Write, Depends(write)]
#: A write that moves points, vouchers, orders or referrals: its Idempotency-Key is required.
KeyedWrite = Annotated[Write, Depends(keyed_write)]


def stored_problem(answer: Response) -> Stored:
    """A refusal as it is kept under its key."""
    return Stored(
        status=answer.status_code, body=bytes(answer.body), media_type=answer.media_type or ""
    )


def stored_response(stored: Stored, *, replayed: bool = False) -> Response:
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    return Response(
        stored.body or None,
        status_code=stored.status,
        media_type=stored.media_type if stored.body else None,
        headers=headers,
    )
